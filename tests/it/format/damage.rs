//! Every flipped bit, every truncation: the right error by name, and never a wrong byte.

use std::ops::Range;

use seqbac::{Damage, Error, Header, diagnose, scrub};

use super::samples::{file, key, noise, other_key, read, read_singly, small, tar_bytes, write};

/// The tar that is given out before an error, and the error's name.
fn released(bytes: &[u8]) -> (Vec<u8>, &'static str) {
    let mut tar = Vec::new();
    let end = tar_bytes(bytes, &key(), 1, |plain| tar.extend_from_slice(plain));
    (tar, end.map_or_else(|error| error.name(), |()| "success"))
}

struct Layout {
    header: usize,
    footer: usize,
}

fn layout(bytes: &[u8]) -> Layout {
    let header = Header::read(&mut &*bytes).expect("a header").raw.len();
    Layout { header, footer: bytes.len() - 24 }
}

/// What a flipped bit of this byte must be called.
fn expected(layout: &Layout, at: usize, bit: u8, length: usize) -> &'static str {
    match at {
        0..8 => "NotABackup",
        8 => "UnsupportedVersion",
        // A length that is possible, but longer than the file.
        12..16 => {
            let flipped = layout.header ^ (1 << (8 * (at - 12) + usize::from(bit)));
            if (length + 1..=4096).contains(&flipped) { "Truncated" } else { "HeaderCorrupt" }
        }
        at if at < layout.header => "HeaderCorrupt",
        at if at < layout.footer => "Corrupt",
        _ => "success",
    }
}

fn name(result: Result<impl Sized, Error>) -> &'static str {
    result.map_or_else(|error| error.name(), |_| "success")
}

#[test]
fn every_flipped_bit_has_its_error_and_releases_nothing_wrong() {
    let good = small();
    let layout = layout(&good);
    let (tar, _) = released(&good);
    let contents = read_singly(&good, &key()).expect("reads");
    let mut bytes = good.clone();
    for at in 0..good.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            let expected = expected(&layout, at, bit, good.len());
            let (plain, found) = released(&bytes);
            assert_eq!(found, expected, "byte {at}, bit {bit}");
            assert!(if found == "success" { plain == tar } else { plain.is_empty() }, "byte {at}, bit {bit}");
            let found = read(&bytes, &key());
            if let Ok(verified) = &found {
                assert!(!verified.warnings.is_empty(), "a damaged footer is mentioned");
            }
            assert_eq!(name(found), expected, "byte {at}, bit {bit}");
            match read_singly(&bytes, &key()) {
                Ok(found) => assert_eq!(found, contents, "byte {at}, bit {bit}"),
                Err(error) => assert_eq!(error.name(), expected, "byte {at}, bit {bit}"),
            }
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn every_truncation_has_its_error_and_releases_nothing() {
    let good = small();
    let layout = layout(&good);
    for length in 0..good.len() {
        let bytes = &good[..length];
        // Without the footer, or a part of it, the backup is whole.
        let expected = if length < layout.footer { "Truncated" } else { "success" };
        let (plain, found) = released(bytes);
        assert_eq!(found, expected, "{length} bytes");
        assert!(found == "success" || plain.is_empty(), "{length} bytes");
        assert_eq!(name(read(bytes, &key())), expected, "{length} bytes");
        assert_eq!(name(read_singly(bytes, &key())), expected, "{length} bytes");
        assert_eq!(name(scrub(bytes)), "Truncated", "{length} bytes, without the key");
    }
}

#[test]
fn truncations_of_a_long_backup_release_only_what_is_before_them() {
    let good = write(&[(file("noise", 3 << 20), noise(3 << 20))]);
    let (tar, _) = released(&good);
    let start = layout(&good).header;
    let boundary = |number: usize| start + (number << 20);
    // Around a tag, a footer and Tink's preamble.
    let near = [-17, -16, -1, 0, 1, 15, 16, 17, 23, 24, 25, 40];
    let lengths = (1..=3).flat_map(|number| near.map(|by| boundary(number).wrapping_add_signed(by)));
    for length in lengths.filter(|length| *length < good.len() - 24) {
        let (plain, found) = released(&good[..length]);
        assert_eq!(found, "Truncated", "{length} bytes");
        assert!(tar.starts_with(&plain) && plain.len() < tar.len(), "{length} bytes");
        assert_eq!(name(read_singly(&good[..length], &key())), "Truncated", "{length} bytes");
    }
}

#[test]
fn a_wrong_key_is_called_that_whatever_happened_to_the_payload() {
    let good = small();
    let layout = layout(&good);
    assert_eq!(name(read(&good, &other_key())), "WrongKey");
    let mut bytes = good.clone();
    for at in 0..good.len() {
        bytes[at] ^= 1;
        let found = name(read(&bytes, &other_key()));
        let expected = if at < layout.header { expected(&layout, at, 0, good.len()) } else { "WrongKey" };
        assert_eq!(found, expected, "byte {at}");
        bytes[at] ^= 1;
    }
    for length in layout.header..good.len() {
        assert_eq!(name(read(&good[..length], &other_key())), "WrongKey", "{length} bytes");
    }
}

#[test]
fn the_wrong_key_names_both_fingerprints() {
    let error = read(&small(), &other_key()).expect_err("another key").to_string();
    assert!(error.contains(&key().fingerprint().to_string()), "{error}");
    assert!(error.contains(&other_key().fingerprint().to_string()), "{error}");
}

/// Puts the right checksum of the payload into the footer, as somebody who edits a backup would.
fn mend_footer(bytes: &mut [u8]) {
    let Layout { header, footer } = layout(bytes);
    let crc = crc32c::crc32c(&bytes[header..footer]);
    bytes[footer + 16..footer + 20].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[footer..footer + 20]);
    bytes[footer + 20..].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_damaged_segment_is_diagnosed() {
    let noise = noise(5 << 20);
    let members: Vec<_> = ["one", "two", "three", "four", "five"]
        .into_iter()
        .enumerate()
        .map(|(at, name)| (file(name, 1 << 20), noise[at << 20..(at + 1) << 20].to_vec()))
        .collect();
    let good = write(&members);
    let start = layout(&good).header;
    let mut bytes = good;
    bytes[start + (2 << 20) + 5] ^= 1;
    let error = read(&bytes, &key()).expect_err("damaged");
    assert!(matches!(error, Error::Corrupt { segment: Some(2), members: None, damage: None, .. }), "{error}");
    let error = diagnose(&mut std::io::Cursor::new(&bytes), &key(), error);
    let Error::Corrupt { bytes: Range { start: from, end }, members: Some(hit), damage, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((from, end), (start as u64 + (2 << 20), start as u64 + (3 << 20)));
    let hit: Vec<String> = hit.iter().map(ToString::to_string).collect();
    assert_eq!(hit, ["one", "two", "three"], "those in the two frames that are partly in the segment");
    assert_eq!(damage, Some(Damage::Rot));
    assert_eq!(name(scrub(&*bytes)), "Corrupt", "rot is seen without the key");

    mend_footer(&mut bytes);
    let error = read(&bytes, &key()).expect_err("damaged");
    let error = diagnose(&mut std::io::Cursor::new(&bytes), &key(), error);
    assert!(matches!(error, Error::Corrupt { damage: Some(Damage::Tampering), .. }), "{error}");
    assert!(scrub(&*bytes).is_ok(), "tampering is not seen without the key");
}

#[test]
fn a_good_backup_is_scrubbed_without_its_key() {
    let good = small();
    let scrubbed = scrub(good.as_slice()).expect("good");
    assert_eq!(scrubbed.bytes, good.len() as u64);
    assert_eq!(scrubbed.header.writer.as_deref(), Some("moorline test"));
    let longer = [good.as_slice(), good.as_slice()].concat();
    assert_ne!(name(scrub(longer.as_slice())), "success");
}

#[test]
fn two_backups_in_one_file_are_trailing_data() {
    for sample in [small(), write(&[(file("noise", 2 << 20), noise(2 << 20))])] {
        let both = [sample.as_slice(), sample.as_slice()].concat();
        let error = read(&both, &key()).expect_err("goes on");
        let end = sample.len() as u64 - 24;
        assert!(matches!(error, Error::TrailingData { end: found } if found == end), "{error}");
    }
}
