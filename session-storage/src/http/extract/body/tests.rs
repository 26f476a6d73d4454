use super::*;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::access::key_file::Folder;
use actix_web::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use actix_web::test::TestRequest;
use futures_util::stream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

fn bounds(bytes: usize, stall: Duration) -> Bounds {
    Bounds {
        bytes,
        stall,
        draining: CancellationToken::new(),
    }
}

async fn read<A: Accepts>(request: TestRequest, limit: usize) -> Result<Body<A>, Code> {
    let (request, mut payload) = request
        .app_data(bounds(limit, Duration::from_secs(30)))
        .app_data(Redact::new(Arc::new(Redaction::off())))
        .to_http_parts();
    Body::<A>::from_request(&request, &mut payload)
        .await
        .map_err(|error| error.code())
}

#[actix_web::test]
async fn an_application_without_redaction_takes_no_body() {
    let (request, mut payload) = TestRequest::post()
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")))
        .set_payload("{}")
        .app_data(bounds(100, Duration::from_secs(30)))
        .to_http_parts();
    let body = Body::<Json>::from_request(&request, &mut payload).await;
    assert_eq!(body.err().map(|error| error.code()), Some(Code::Internal));
}

#[test]
fn content_types_are_distinguished() {
    for (value, expected) in [
        ("application/json", Media::Json),
        ("Application/JSON; charset=utf-8", Media::Json),
        ("application/vnd.agent+json", Media::Json),
        ("", Media::Unsaid),
        ("application/merge-patch+json", Media::MergePatch),
        ("application/json-patch+json;x=y", Media::JsonPatch),
        ("application/x-ndjson", Media::Lines),
        ("application/json-lines", Media::Lines),
        ("text/plain", Media::Other),
        ("json", Media::Other),
        ("+json", Media::Other),
        ("application/jsonx", Media::Other),
        ("multipart/form-data", Media::Other),
    ] {
        assert_eq!(media::media(value.as_bytes()), expected, "{value}");
    }
}

#[test]
fn each_route_reads_its_types() {
    let all = [
        Media::Json,
        Media::MergePatch,
        Media::JsonPatch,
        Media::Lines,
        Media::Unsaid,
        Media::Other,
    ];
    let read = |accepts: fn(Media) -> bool| all.map(accepts);
    assert_eq!(
        read(Json::accepts),
        [true, false, false, false, true, false]
    );
    assert_eq!(
        read(Patches::accepts),
        [true, true, true, false, true, false]
    );
    assert_eq!(
        read(Lines::accepts),
        [false, false, false, true, true, false]
    );
}

#[actix_web::test]
async fn what_is_too_large_or_of_another_type_is_refused() {
    let typed = |kind: &'static str| {
        TestRequest::post().insert_header((CONTENT_TYPE, HeaderValue::from_static(kind)))
    };
    let body = read::<Json>(typed("application/json").set_payload("{}"), 2)
        .await
        .unwrap();
    assert_eq!(body.bytes.as_ref(), b"{}");
    assert_eq!(body.media, Media::Json);
    let refused = async |request| read::<Json>(request, 2).await.err();
    assert_eq!(
        refused(typed("application/json").set_payload("{ }")).await,
        Some(Code::PayloadTooLarge)
    );
    let announced = typed("application/json").insert_header((CONTENT_LENGTH, "3"));
    assert_eq!(refused(announced).await, Some(Code::PayloadTooLarge));
    assert_eq!(
        refused(typed("text/plain").set_payload("{}")).await,
        Some(Code::UnsupportedMediaType)
    );
    let packed = typed("application/json")
        .insert_header((CONTENT_ENCODING, "br"))
        .set_payload("{}");
    assert_eq!(refused(packed).await, Some(Code::UnsupportedMediaType));
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut packing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packing.write_all(text.as_bytes()).unwrap();
    packing.finish().unwrap()
}

#[actix_web::test]
async fn a_compressed_body_is_unpacked_within_the_bound() {
    let packed = |encoding: &'static str, bytes: Vec<u8>| {
        TestRequest::post()
            .insert_header((CONTENT_ENCODING, encoding))
            .set_payload(bytes)
    };
    let text = format!("{{\"a\":\"{}\"}}", "x".repeat(10_000));
    for encoding in ["gzip", "x-gzip", "GZIP"] {
        let body = read::<Json>(packed(encoding, gzip(&text)), 20_000)
            .await
            .unwrap();
        assert_eq!(body.bytes, text);
    }
    let two = [gzip("{\"a\":"), gzip("1}")].concat();
    assert_eq!(
        read::<Json>(packed("gzip", two), 100).await.unwrap().bytes,
        "{\"a\":1}"
    );
    let marked = read::<Json>(packed("gzip", gzip("\u{feff}{}")), 100)
        .await
        .unwrap();
    assert_eq!(marked.bytes, "{}");
    let refused = async |bytes, most| read::<Json>(packed("gzip", bytes), most).await.err();
    assert_eq!(
        refused(gzip(&text), 10_000).await,
        Some(Code::PayloadTooLarge),
        "small only while compressed"
    );
    assert_eq!(
        refused(b"{}".to_vec(), 100).await,
        Some(Code::InvalidRequest)
    );
    let mut cut = gzip(&text);
    cut.truncate(cut.len() - 9);
    assert_eq!(refused(cut, 20_000).await, Some(Code::InvalidRequest));
    let twice = packed("gzip", gzip("{}")).append_header((CONTENT_ENCODING, "gzip"));
    assert_eq!(
        read::<Json>(twice, 100).await.err(),
        Some(Code::UnsupportedMediaType)
    );
}

#[actix_web::test]
async fn a_byte_order_mark_is_no_part_of_the_body() {
    let body = read::<Json>(TestRequest::post().set_payload("\u{feff}{}"), 100)
        .await
        .unwrap();
    assert_eq!(body.bytes, "{}");
    let body = read::<Lines>(TestRequest::post().set_payload("\u{feff}{}\n{}\n"), 100)
        .await
        .unwrap();
    assert_eq!(body.bytes, "{}\n{}\n");
}

fn reading(bounds: &Bounds) -> (UnboundedSender<Bytes>, Reading<Json>) {
    let (sender, mut receiver) = unbounded_channel();
    let pieces =
        stream::poll_fn(move |context| receiver.poll_recv(context).map(|piece| piece.map(Ok)));
    let mut payload: Payload = Payload::Stream {
        payload: Box::pin(pieces),
    };
    let state = Receiving::begin::<Json>(&HeaderMap::new(), bounds, &mut payload);
    let storage = tempfile::tempdir().unwrap();
    let access = Arc::new(Access::open(Folder::below(storage.path())).unwrap());
    let request = TestRequest::default().app_data(access).to_http_request();
    (
        sender,
        Reading {
            request,
            state: Some(state.map(|receiving| (receiving, Arc::new(Redaction::off())))),
            screening: None,
            counted: None,
            accepts: PhantomData,
        },
    )
}

async fn piecewise(pieces: &[&'static str], limit: usize) -> Result<Bytes, Code> {
    let (sender, reading) = reading(&bounds(limit, Duration::from_secs(30)));
    for piece in pieces {
        sender.send(Bytes::from_static(piece.as_bytes())).unwrap();
    }
    drop(sender);
    reading
        .await
        .map(|body| body.bytes)
        .map_err(|error| error.code())
}

#[actix_web::test]
async fn pieces_are_put_together() {
    assert_eq!(piecewise(&[], 9).await, Ok(Bytes::new()));
    assert_eq!(piecewise(&["abc"], 9).await, Ok("abc".into()));
    assert_eq!(
        piecewise(&["abc", "def", "ghi"], 9).await,
        Ok("abcdefghi".into())
    );
    assert_eq!(
        piecewise(&["abc", "def", "ghi"], 8).await,
        Err(Code::PayloadTooLarge)
    );
}

/// Polls twice in a row, as the connection does, and then waits.
async fn wait_for(mut reading: Reading<Json>) -> Option<Code> {
    std::future::poll_fn(|context| match Pin::new(&mut reading).poll(context) {
        Poll::Pending => Pin::new(&mut reading).poll(context),
        done @ Poll::Ready(_) => done,
    })
    .await
    .err()
    .map(|error| error.code())
}

#[actix_web::test]
async fn a_body_that_stalls_is_given_up() {
    let bounds = bounds(9, Duration::from_millis(20));
    let (_sender, reading) = reading(&bounds);
    assert_eq!(wait_for(reading).await, Some(Code::RequestTimeout));
}

#[actix_web::test]
async fn a_stop_shortens_the_patience() {
    let bounds = bounds(9, Duration::from_hours(1));
    let (_sender, reading) = reading(&bounds);
    bounds.draining.cancel();
    assert_eq!(wait_for(reading).await, Some(Code::StorageUnavailable));
}

#[actix_web::test]
async fn progress_renews_the_patience() {
    // A busy machine may stop for longer than the stall time, but not for longer than each of
    // these.
    for patience in [400, 2000, 10_000].map(Duration::from_millis) {
        let bounds = bounds(99, patience);
        let (sender, reading) = reading(&bounds);
        let feeding = async {
            for _ in 0..6 {
                tokio::time::sleep(patience / 4).await;
                // Fails if the body was given up.
                let _ = sender.send(Bytes::from_static(b"x"));
            }
            drop(sender);
        };
        match futures_util::join!(wait_for(reading), feeding) {
            (None, ()) => return,
            (refused, ()) => assert_eq!(refused, Some(Code::RequestTimeout)),
        }
    }
    panic!("progress did not renew the patience");
}
