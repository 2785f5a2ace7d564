//! Property tests: on random bytes, no parser of this crate panics or accepts them as a backup.

use proptest::prelude::*;

use seqbac_header::MAGIC;

use super::{Error, Header, digest, frame, seek_table, tar_header};

/// A tar header with a correct checksum, so that the parser gets beyond the checksum.
fn tar_block(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A header with correct length and checksum.
fn with_checksum(mut header: Vec<u8>) -> Vec<u8> {
    let length = header.len();
    header[..8].copy_from_slice(&MAGIC);
    header[8] = 1;
    header[10] = 0;
    header[12..16].copy_from_slice(&u32::try_from(length).expect("short").to_le_bytes());
    header[16..18].fill(1);
    let crc = crc32c::crc32c(&header[..length - 4]);
    header[length - 4..].copy_from_slice(&crc.to_le_bytes());
    header
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        drop(seek_table::decode(&bytes));
        drop(frame::Head::parse(&bytes));
        drop(digest::indexed(&bytes));
        drop(tar_header::next(&mut bytes.as_slice()));
        prop_assert!(Header::read(&mut bytes.as_slice()).is_err());
    }

    #[test]
    fn no_header_makes_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 96..400)) {
        let header = with_checksum(bytes);
        match Header::read(&mut header.as_slice()) {
            Ok(read) => prop_assert_eq!(read.raw, header),
            Err(Error::HeaderCorrupt { .. } | Error::UnsupportedVersion { .. }) => {}
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn no_tar_makes_a_parser_panic(block in proptest::collection::vec(any::<u8>(), 512), kind in prop::sample::select(b"0125xgL\0".to_vec()),
                 records in "([0-9]{1,3} (path|size|mtime|uid)=[-0-9./a]{0,20}\n){0,4}") {
        let mut block = block;
        block[156] = kind;
        block[124..136].copy_from_slice(format!("{:011o}\0", records.len()).as_bytes());
        let mut tar = tar_block(block.clone());
        tar.extend(records.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
        block[156] = b'0';
        tar.extend(tar_block(block));
        if let Ok(tar_header::Next::Member(entry)) = tar_header::next(&mut tar.as_slice()) {
            prop_assert!(!entry.path.as_bytes().starts_with(b"/"));
        }
    }
}
