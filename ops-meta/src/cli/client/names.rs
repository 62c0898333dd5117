//! How names become addresses.

/// A static glibc binary would load the host's own NSS modules (`resolve`, `sss`, `ldap`), built for another glibc: names
/// come from `files` and `dns` alone. Before any other thread runs.
pub fn resolve_without_foreign_modules() {
    #[cfg(target_env = "gnu")]
    configure_lookup();
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "glibc offers this setting as a C function only")]
fn configure_lookup() {
    unsafe extern "C" {
        fn __nss_configure_lookup(
            database: *const core::ffi::c_char,
            services: *const core::ffi::c_char,
        ) -> core::ffi::c_int;
    }
    // SAFETY: both arguments are constants that end in NUL, and no other thread runs yet.
    unsafe {
        __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr());
    }
}
