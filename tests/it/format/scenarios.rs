//! What the vectors are, one line each where that is enough.

mod contents;
mod headers;

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    forge::{Backup, Digest, Head, Last, Member, Parts, SEGMENT, file, footer},
    samples::KEY,
};

/// A vector before it is written.
pub struct Scenario {
    pub name: &'static str,
    pub expect: &'static str,
    /// The segment that is named as corrupt.
    pub segment: Option<u32>,
    pub warnings: usize,
    pub key: String,
    pub comment: &'static str,
    pub build: Box<dyn Fn() -> Built>,
}

/// A file, and the part of the tar that is released before the error.
pub struct Built {
    pub file: Vec<u8>,
    pub released: Vec<u8>,
}

impl Scenario {
    fn segment(mut self, segment: u32) -> Self {
        self.segment = Some(segment);
        self
    }

    fn warns(mut self) -> Self {
        self.warnings = 1;
        self
    }

    fn key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }
}

fn scenario(
    name: &'static str,
    expect: &'static str,
    comment: &'static str,
    build: impl Fn() -> Built + 'static,
) -> Scenario {
    let build = Box::new(build);
    Scenario { name, expect, segment: None, warnings: 0, key: KEY.to_owned(), comment, build }
}

fn key() -> [u8; 32] {
    BASE64_STANDARD.decode(KEY).expect("base64").try_into().expect("32 bytes")
}

fn small() -> Backup {
    Backup::new(key(), vec![file("a", "content\n"), file("b/c", "")])
}

fn of_segments(segments: usize) -> Parts {
    Backup::of_segments(key(), segments).build()
}

/// The file as it is; all of the tar is released.
fn whole(parts: &Parts) -> Built {
    Built { file: parts.file(), released: parts.tar.clone() }
}

fn nothing(file: Vec<u8>) -> Built {
    Built { file, released: Vec::new() }
}

/// A file that is built from edited parts; the tar of so many segments is released.
fn after(segments: usize, original: &Parts, payload: Vec<u8>) -> Built {
    let file = [original.header.as_slice(), &payload, &footer(&payload)].concat();
    Built { file, released: original.released(segments).to_vec() }
}

fn with_header(edit: impl Fn(&mut Vec<u8>)) -> Built {
    let mut parts = small().build();
    edit(&mut parts.header);
    nothing(parts.file())
}

fn with_head(edit: impl Fn(&mut Head)) -> Parts {
    let mut backup = small();
    edit(&mut backup.head);
    backup.build()
}

fn with_members(members: Vec<Member>) -> Built {
    whole(&Backup::new(key(), members).build())
}

fn with_digest(digest: Digest) -> Built {
    whole(&Backup { digest, ..small() }.build())
}

fn with_stream(stream: Vec<u8>) -> Built {
    nothing(Backup { stream: Some(stream), ..small() }.build().file())
}

/// A flipped bit in the tag of one segment. The footer is not corrected.
fn bad_tag(segments: usize, number: usize) -> Built {
    let parts = of_segments(segments);
    let mut file = parts.file();
    file[parts.header.len() + parts.segment(number).end - 1] ^= 1;
    Built { file, released: parts.released(number).to_vec() }
}

/// Four segments, some of which are put together again.
fn rearranged(order: &[usize], good: usize) -> Built {
    let parts = of_segments(4);
    let mut payload = parts.payload[..40].to_vec();
    order.iter().for_each(|number| payload.extend(parts.bytes_of(*number)));
    after(good, &parts, payload)
}

pub fn scenarios() -> Vec<Scenario> {
    [whole_files(), segments(), ends(), headers::keys_and_headers(), contents::streams(), contents::tars()]
        .into_iter()
        .flatten()
        .collect()
}

fn whole_files() -> Vec<Scenario> {
    vec![
        scenario("one_segment", "success", "the smallest that there is in practice", || whole(&small().build())),
        scenario("two_segments", "success", "", || whole(&of_segments(2))),
        scenario("three_segments", "success", "", || whole(&of_segments(3))),
        scenario("segments_257", "success", "the segment's number carries into its second byte", || {
            whole(&of_segments(257))
        }),
        scenario("last_segment_full", "success", "the last segment is exactly 1 MiB long; no seek table", || {
            whole(&Backup { last: Last::Full, ..Backup::of_segments(key(), 2) }.build())
        }),
        scenario("only_segment_full", "success", "the first segment is the last and full; no seek table", || {
            whole(&Backup { last: Last::Full, ..Backup::of_segments(key(), 1) }.build())
        }),
        scenario(
            "last_segment_empty",
            "success",
            "the last segment holds nothing; Tink reads it, but writes no such",
            || whole(&Backup { last: Last::Empty, ..Backup::of_segments(key(), 2) }.build()),
        ),
        scenario("no_seek_table", "success", "it is needed for random access only", || {
            whole(&Backup { seek_table: false, ..small() }.build())
        }),
        scenario("footer_missing", "success", "the last segment and the digest are the truth", || {
            let parts = small().build();
            Built { file: parts.without_footer(), released: parts.tar }
        })
        .warns(),
        scenario("footer_missing_after_full_segment", "success", "", || {
            let parts = Backup { last: Last::Full, ..Backup::of_segments(key(), 2) }.build();
            Built { file: parts.without_footer(), released: parts.tar }
        })
        .warns(),
        scenario("footer_cut", "success", "the file ends inside its footer", || {
            let parts = small().build();
            let file = parts.file();
            Built { file: file[..file.len() - 5].to_vec(), released: parts.tar }
        })
        .warns(),
        scenario("footer_damaged", "success", "24 bytes that were a footer", || {
            let parts = small().build();
            let mut file = parts.file();
            let at = file.len() - 24;
            file[at..].iter_mut().for_each(|byte| *byte ^= 0x55);
            Built { file, released: parts.tar }
        })
        .warns(),
    ]
}

fn segments() -> Vec<Scenario> {
    vec![
        scenario("bad_tag_only", "Corrupt", "", || bad_tag(1, 0)).segment(0),
        scenario("bad_tag_first", "Corrupt", "", || bad_tag(3, 0)).segment(0),
        scenario("bad_tag_middle", "Corrupt", "", || bad_tag(3, 1)).segment(1),
        scenario("bad_tag_last", "Corrupt", "", || bad_tag(3, 2)).segment(2),
        scenario("bad_tag_footer_corrected", "Corrupt", "tampering: the checksum of the payload fits", || {
            let parts = of_segments(3);
            let mut payload = parts.payload.clone();
            payload[parts.segment(1).end - 1] ^= 1;
            after(1, &parts, payload)
        })
        .segment(1),
        scenario("swapped_segments", "Corrupt", "the second and the third", || rearranged(&[0, 2, 1, 3], 1)).segment(1),
        scenario("duplicated_segment", "Corrupt", "the second comes twice", || rearranged(&[0, 1, 1, 2, 3], 2))
            .segment(2),
        scenario("dropped_segment", "Corrupt", "the second is missing", || rearranged(&[0, 2, 3], 1)).segment(1),
        scenario("spliced_segment", "Corrupt", "the second is of another backup with the same key", || {
            let parts = of_segments(3);
            let mut other = Backup::of_segments(key(), 3);
            other.head.id = [0x12; 16];
            let mut payload = parts.payload.clone();
            payload.splice(parts.segment(1), other.build().bytes_of(1));
            after(1, &parts, payload)
        })
        .segment(1),
        scenario("spliced_header", "Corrupt", "the payload of another backup with the same key", || {
            let mut parts = small().build();
            parts.header = with_head(|head| head.id = [0x12; 16]).header;
            nothing(parts.file())
        })
        .segment(0),
        scenario("salt_changed", "Corrupt", "", || {
            let mut parts = small().build();
            parts.payload[1] ^= 1;
            nothing(parts.file())
        })
        .segment(0),
        scenario("preamble_length_wrong", "Corrupt", "the payload does not start with 0x28", || {
            let mut parts = small().build();
            parts.payload[0] = 0x29;
            nothing(parts.file())
        })
        .segment(0),
    ]
}

fn ends() -> Vec<Scenario> {
    vec![
        scenario("empty_file", "Truncated", "nothing at all", || nothing(Vec::new())),
        scenario("header_cut", "Truncated", "the file ends inside its header", || {
            nothing(small().build().header[..70].to_vec())
        }),
        scenario("header_only", "Truncated", "", || nothing(small().build().header)),
        scenario("preamble_cut", "Truncated", "the file ends inside Tink's salt", || {
            let parts = small().build();
            nothing([parts.header.as_slice(), &parts.payload[..20]].concat())
        }),
        scenario("no_segments", "Truncated", "Tink's preamble and nothing else", || {
            let parts = small().build();
            nothing([parts.header.as_slice(), &parts.payload[..40]].concat())
        }),
        scenario("cut_at_boundary", "Truncated", "the last segment and the footer are missing", || {
            let parts = of_segments(3);
            let file = [parts.header.as_slice(), &parts.payload[..parts.segment(1).end]].concat();
            Built { file, released: parts.released(2).to_vec() }
        }),
        scenario(
            "cut_at_boundary_footer_made",
            "Truncated",
            "the last segment is missing, but there is a footer",
            || {
                let parts = of_segments(3);
                after(2, &parts, parts.payload[..parts.segment(1).end].to_vec())
            },
        ),
        scenario("cut_in_segment", "Truncated", "", || {
            let parts = of_segments(3);
            let file = [parts.header.as_slice(), &parts.payload[..parts.segment(1).end - 1000]].concat();
            Built { file, released: parts.released(1).to_vec() }
        }),
        scenario("last_not_marked", "Truncated", "the last segment was sealed as if more came", || {
            let parts = Backup { wrong_last: Some(0), ..small() }.build();
            nothing(parts.file())
        }),
        scenario("two_last_segments", "TrailingData", "the first of two was sealed as the last", || {
            let parts = Backup { wrong_last: Some(0), ..Backup::of_segments(key(), 2) }.build();
            nothing(parts.file())
        }),
        scenario("two_last_segments_short", "Corrupt", "the last segment twice, both short", || {
            let parts = small().build();
            let payload = [parts.payload.as_slice(), &parts.bytes_of(0)].concat();
            after(0, &parts, payload)
        })
        .segment(0),
        scenario("trailing_byte", "TrailingData", "one byte behind the footer", || {
            nothing([small().build().file(), vec![0]].concat())
        }),
        scenario("trailing_long", "TrailingData", "2 MiB behind the footer", || {
            nothing([small().build().file(), vec![0; 2 * SEGMENT]].concat())
        }),
        scenario("trailing_without_footer", "TrailingData", "ten bytes where the footer should be", || {
            nothing([small().build().without_footer(), b"ten bytes!".to_vec()].concat())
        }),
        scenario("trailing_after_full_segment", "TrailingData", "", || {
            let parts = Backup { last: Last::Full, ..Backup::of_segments(key(), 2) }.build();
            Built { file: [parts.file(), vec![0; 100]].concat(), released: parts.released(1).to_vec() }
        }),
        scenario("two_files", "TrailingData", "a backup behind a backup", || nothing(small().build().file().repeat(2))),
    ]
}
