//! What decrypts, and is wrong inside: zstd streams and tars.

use super::{
    super::forge::{Backup, Content, Digest, Member, file, link, noise, raw_frame, with_attribute},
    Built, Scenario, scenario, small, whole, with_digest, with_members, with_stream,
};

pub fn streams() -> Vec<Scenario> {
    vec![
        scenario("empty_payload", "ContentMismatch", "no zstd frame, so no manifest", || with_stream(Vec::new())),
        scenario("not_zstd", "ContentMismatch", "", || with_stream(b"this is no zstd stream".to_vec())),
        scenario("zstd_bomb_window", "ContentMismatch", "a frame of 8 GiB with a window of 128 MiB", || {
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x88];
            frame.extend((8_u64 << 30).to_le_bytes());
            (0..100).for_each(|_| frame.extend([0x02, 0x00, 0x10, 0x00]));
            with_stream(frame)
        }),
        scenario("zstd_bomb_size", "ContentMismatch", "a frame that declares 100 bytes and holds 12 MiB", || {
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0, 100, 0, 0, 0];
            (0..100).for_each(|_| frame.extend([0x02, 0x00, 0x10, 0x00]));
            frame.extend([0x03, 0x00, 0x10, 0x00]);
            with_stream(frame)
        }),
        scenario("zstd_cut", "ContentMismatch", "the stream ends inside a frame", || {
            let frame = raw_frame(&[0; 1000]);
            with_stream(frame[..frame.len() - 1].to_vec())
        }),
        scenario("zstd_checksum_wrong", "ContentMismatch", "", || {
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x24, 4, 0x21, 0, 0];
            frame.extend(b"textnope");
            with_stream(frame)
        }),
        scenario("seek_table_wrong", "ContentMismatch", "it says that a frame is longer than it is", || {
            let backup = small();
            let (parts, stream) = backup.build_with_stream();
            let mut wrong = stream;
            let at = wrong.len() - 9 - 16;
            wrong[at] ^= 1;
            let file = Backup { stream: Some(wrong), ..backup }.build().file();
            Built { file, released: parts.tar }
        }),
        scenario("frame_behind_seek_table", "ContentMismatch", "", || {
            let backup = small();
            let (parts, stream) = backup.build_with_stream();
            let longer = [stream, raw_frame(&[0; 512])].concat();
            let file = Backup { stream: Some(longer), ..backup }.build().file();
            Built { file, released: parts.tar }
        }),
    ]
}

pub fn tars() -> Vec<Scenario> {
    vec![
        scenario("tar_link", "success", "a link may point anywhere", || with_members(vec![link("l", "/etc/passwd")])),
        scenario("tar_attribute", "success", "an extended attribute with bytes of any kind", || {
            with_members(vec![with_attribute("user.a%3Db", b"x=1\n\0\xff"), file("b", "y")])
        }),
        scenario("tar_attribute_without_name", "ContentMismatch", "", || with_members(vec![with_attribute("", b"x")])),
        scenario("tar_dotdot", "ContentMismatch", "", || with_members(vec![file("../evil", "x")])),
        scenario("tar_absolute", "ContentMismatch", "", || with_members(vec![file("/etc/evil", "x")])),
        scenario("tar_link_escape", "ContentMismatch", "a member is written through a link out of the root", || {
            with_members(vec![link("way", "/etc"), file("way/evil", "x")])
        }),
        scenario("tar_through_file", "ContentMismatch", "", || with_members(vec![file("a", "x"), file("a/b", "x")])),
        scenario("tar_duplicate", "ContentMismatch", "", || with_members(vec![file("a", "x"), file("a", "y")])),
        scenario("tar_hard_link", "ContentMismatch", "", || {
            with_members(vec![file("a", "x"), Member { kind: b'1', ..link("b", "a") }])
        }),
        scenario("tar_device", "ContentMismatch", "", || with_members(vec![Member { kind: b'3', ..file("null", "") }])),
        scenario("tar_directory_with_content", "ContentMismatch", "", || {
            with_members(vec![Member { kind: b'5', ..file("d", "x") }])
        }),
        scenario("manifest_missing", "ContentMismatch", "", || {
            let mut backup = small();
            backup.members.remove(0);
            whole(&backup.build())
        }),
        scenario("manifest_second", "ContentMismatch", "", || {
            let mut backup = small();
            backup.members.swap(0, 1);
            whole(&backup.build())
        }),
        scenario("member_behind_digest", "ContentMismatch", "", || {
            let json = Content::Bytes(br#"{"complete":true,"members":[]}"#.to_vec());
            with_members(vec![Member { content: json, ..file("digest.json", "") }, file("b", "x")])
        }),
        scenario("digest_missing", "Incomplete", "the tar ends without one", || with_digest(Digest::Missing)),
        scenario("digest_unfinished", "Incomplete", "it says that it is not complete", || {
            with_digest(Digest::Unfinished)
        }),
        scenario("digest_wrong", "ContentMismatch", "a hash is wrong", || with_digest(Digest::Wrong)),
        scenario("digest_short", "ContentMismatch", "a member is not in it", || with_digest(Digest::Short)),
        scenario("tar_cut", "Incomplete", "the tar ends inside a member; every layer below is whole", || {
            let parts = small().build();
            let cut = &parts.tar[..1024 + 512 + 3];
            let file = Backup { stream: Some(raw_frame(cut)), ..small() }.build().file();
            Built { file, released: cut.to_vec() }
        }),
        scenario("noise_in_frames", "success", "a member that starts and ends inside frames", || {
            with_members(vec![noise(700_000), file("a", "x"), file("b", &"y".repeat(1000))])
        }),
    ]
}
