//! Linker flags of the host program.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=packaging/host.ld");
    // The host profile aborts on a panic, so nothing ever looks for a frame: the tables and their index are 350 KB for
    // nobody, and a tenth of the program. The other profiles unwind, and need them.
    if std::env::var("OPT_LEVEL").as_deref() == Ok("z") {
        let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{folder}/packaging/host.ld");
    }
}
