//! Linker flags of the host program.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The host profile aborts on a panic, so nothing ever looks for a frame: the index of frames is 44 KB for nobody. The
    // other profiles unwind, and need it.
    if std::env::var("OPT_LEVEL").as_deref() == Ok("z") {
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    }
}
