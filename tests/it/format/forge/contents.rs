//! What is inside a forged payload: tar headers, members, zstd frames of stored blocks, the seek table.

use std::ops::Range;

use super::SEGMENT;

/// One member of a tar.
#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub kind: u8,
    pub link: String,
    pub content: Content,
    /// The records of an extended header before it, if any.
    pub records: Vec<u8>,
}

#[derive(Clone)]
pub enum Content {
    Bytes(Vec<u8>),
    /// So many bytes whose ciphertext is zeros.
    Noise(usize),
}

pub fn file(name: &str, content: &str) -> Member {
    let content = Content::Bytes(content.as_bytes().to_vec());
    Member { name: name.to_owned(), kind: b'0', link: String::new(), content, records: Vec::new() }
}

/// A file with an extended attribute.
pub fn with_attribute(name: &str, value: &[u8]) -> Member {
    let rest = [b" SCHILY.xattr.", name.as_bytes(), b"=", value, b"\n"].concat();
    let length = (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length).expect("one fits");
    Member { records: [length.to_string().as_bytes(), &rest].concat(), ..file("a", "x") }
}

pub fn noise(length: usize) -> Member {
    Member { content: Content::Noise(length), ..file("noise", "") }
}

pub fn link(name: &str, target: &str) -> Member {
    Member { kind: b'2', link: target.to_owned(), ..file(name, "") }
}

pub fn ustar(member: &Member, size: usize) -> [u8; 512] {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, member.name.as_bytes());
    put(100, b"0000640\x000000000\x000000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"14524770400\0        ");
    put(156, &[member.kind]);
    put(157, member.link.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// The tar of these members without its end, where each of them is, with its content, and the noise.
#[allow(clippy::type_complexity)]
pub fn tar(members: &[Member]) -> (Vec<u8>, Vec<(usize, Range<usize>)>, Range<usize>) {
    let (mut tar, mut offsets, mut free) = (Vec::new(), Vec::new(), 0..0);
    for member in members {
        let offset = tar.len();
        if !member.records.is_empty() {
            tar.extend(ustar(&Member { kind: b'x', ..file("PaxHeaders/x", "") }, member.records.len()));
            tar.extend(&member.records);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        let size = match &member.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Noise(size) => *size,
        };
        tar.extend(ustar(member, size));
        let start = tar.len();
        match &member.content {
            Content::Bytes(bytes) => tar.extend(bytes),
            Content::Noise(size) => {
                free = start..start + size;
                tar.resize(start + size, 0);
            }
        }
        offsets.push((offset, start..tar.len()));
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    (tar, offsets, free)
}

/// One zstd frame for each mebibyte.
pub fn frames(tar: &[u8]) -> Vec<Vec<u8>> {
    tar.chunks(SEGMENT).map(raw_frame).collect()
}

/// A zstd frame of stored blocks, whose header declares the size.
pub fn raw_frame(content: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend((content.len() as u32).to_le_bytes());
    let blocks: Vec<_> = content.chunks(128 << 10).collect();
    for (number, block) in blocks.iter().enumerate() {
        let last = usize::from(number + 1 == blocks.len());
        frame.extend(&(block.len() << 3 | last).to_le_bytes()[..3]);
        frame.extend(*block);
    }
    frame
}

pub fn seek_table(sizes: &[(usize, usize)]) -> Vec<u8> {
    let mut table = 0x184D_2A5E_u32.to_le_bytes().to_vec();
    table.extend((8 * sizes.len() as u32 + 9).to_le_bytes());
    for (compressed, decompressed) in sizes {
        table.extend((*compressed as u32).to_le_bytes());
        table.extend((*decompressed as u32).to_le_bytes());
    }
    table.extend((sizes.len() as u32).to_le_bytes());
    table.push(0);
    table.extend(0x8F92_EAB1_u32.to_le_bytes());
    table
}
