//! What a library that an interpreter loads is linked with where the linker asks for it (macOS).

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
