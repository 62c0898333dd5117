//! Digests and limits of streams.

use std::io::{self, Read, Write};

use ops_package::{Algorithm, Digesting, Limited, TooLarge};

// RFC 1321 and FIPS 180-2, of "abc".
const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn a_reader_is_digested() {
    let mut reader = Digesting::new(&b"abc"[..], Algorithm::Sha256);
    assert_eq!(io::read_to_string(&mut reader).unwrap(), "abc");
    let (_, digests) = reader.finish();
    assert_eq!((digests.bytes, digests.md5), (3, None));
    assert_eq!(digests.sha256.unwrap().as_str(), SHA256);
}

#[test]
fn a_writer_is_digested() {
    let mut writer = Digesting::new(Vec::new(), Algorithm::Md5);
    writer.write_all(b"a").unwrap();
    writer.write_all(b"bc").unwrap();
    let (written, digests) = writer.finish();
    assert_eq!(written, b"abc");
    assert_eq!(digests.md5.unwrap().as_str(), MD5);
    assert_eq!(digests.sha256, None);
}

#[test]
fn a_resumed_download_is_digested_from_its_beginning() {
    let mut writer = Digesting::new(Vec::new(), Algorithm::Sha256);
    writer.consume(b"ab");
    writer.write_all(b"c").unwrap();
    let (written, digests) = writer.finish();
    assert_eq!((written.as_slice(), digests.bytes), (&b"c"[..], 3));
    assert_eq!((digests.md5, digests.sha256.unwrap().as_str()), (None, SHA256));
}

#[test]
fn only_the_bytes_a_writer_took_are_digested() {
    let mut room = [0; 2];
    let mut writer = Digesting::new(&mut room[..], Algorithm::Md5);
    assert_eq!(writer.write(b"abc").unwrap(), 2);
    assert_eq!(writer.finish().1.bytes, 2);
}

#[test]
fn a_stream_of_just_the_limit_passes() {
    assert_eq!(io::read_to_string(Limited::new(&b"abc"[..], 3)).unwrap(), "abc");
    assert_eq!(io::read_to_string(Limited::new(&b""[..], 0)).unwrap(), "");
}

#[test]
fn a_byte_more_is_too_large() {
    for limit in [0, 1, 2] {
        let error = io::read_to_string(Limited::new(&b"abc"[..], limit)).unwrap_err();
        let too_large = TooLarge::from_io(&error).unwrap();
        assert_eq!((too_large.limit, too_large.code()), (limit, "too_large"));
    }
    assert_eq!(TooLarge::from_io(&io::ErrorKind::FileTooLarge.into()), None);
}

#[test]
fn no_byte_above_the_limit_is_handed_out() {
    let mut limited = Limited::new(&b"abcdef"[..], 4);
    let mut buffer = [0; 16];
    assert_eq!(limited.read(&mut buffer).unwrap(), 4);
    assert!(limited.read(&mut buffer).is_err());
    assert!(limited.read(&mut buffer).is_err());
}
