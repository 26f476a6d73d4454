//! Whatever comes over a connection: answered with HTTP, errors with JSON, and never by a fault of the service.
//!
//! An input that begins with `!` is sent as it is. Any other is a request line, headers, an empty line and a body, to
//! which the true length of the body is added: so the fuzzer need not guess one to get behind the framework.

#![no_main]

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use libfuzzer_sys::fuzz_target;
use session_storage::fuzz::Service;
use tempfile::TempDir;

thread_local! {
    /// The service is never dropped: the framework's own values of this thread are gone by then.
    static SERVICE: RefCell<(ManuallyDrop<Service>, TempDir)> = {
        let outer = tempfile::tempdir().expect("there is room for a directory");
        RefCell::new((ManuallyDrop::new(Service::within(outer.path())), outer))
    };
}

fuzz_target!(|bytes: &[u8]| {
    SERVICE.with_borrow_mut(|(service, _)| {
        if let Some(raw) = bytes.strip_prefix(b"!") {
            return service.raw(raw);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
            Some(end) => (text(&bytes[..end]), &bytes[end + 2..]),
            None => (text(bytes), &b""[..]),
        };
        let (line, headers) = head.split_once('\n').unwrap_or((&head, "Host: localhost"));
        service.request(line, &headers.replace('\n', "\r\n"), body);
    });
});
