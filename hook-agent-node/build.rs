//! The linker's arguments for an addon.

fn main() {
    napi_build::setup();
    // A fifth of a release addon would be symbols, which only backtraces need.
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let is_linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if is_release && is_linux {
        println!("cargo::rustc-cdylib-link-arg=-Wl,--strip-all");
    }
}
