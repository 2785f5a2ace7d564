//! Keys and headers.

use super::{
    super::{
        forge::mend_header,
        samples::{KEY, OTHER_KEY},
    },
    Scenario, nothing, scenario, small, whole, with_head, with_header,
};

pub fn keys_and_headers() -> Vec<Scenario> {
    let not_canonical = KEY.replace("/4=", "/5=");
    vec![
        scenario("wrong_key", "WrongKey", "", || nothing(small().build().file())).key(OTHER_KEY),
        scenario("key_not_canonical", "InvalidKey", "base64 whose unused bits are not zero", || {
            nothing(small().build().file())
        })
        .key(&not_canonical),
        scenario("magic_wrong", "NotABackup", "", || with_header(|header| header[1] = b'T')),
        scenario("magic_line_ends", "NotABackup", "copied as text: CR LF became LF", || {
            let file = small().build().file();
            nothing([&file[..4], &file[5..]].concat())
        }),
        scenario("major_2", "UnsupportedVersion", "", || nothing(with_head(|head| head.major = 2).file())),
        scenario("minor_9", "success", "a newer minor version is read", || whole(&with_head(|head| head.minor = 9))),
        scenario("suite_2", "UnsupportedVersion", "", || nothing(with_head(|head| head.suite = 2).file())),
        scenario("flag_critical", "UnsupportedVersion", "", || nothing(with_head(|head| head.flags = 0x80).file())),
        scenario("flag_ignorable", "success", "", || whole(&with_head(|head| head.flags = 0x8100))),
        scenario("tlv_critical", "UnsupportedVersion", "", || {
            nothing(with_head(|head| head.tlvs.push((0x8777, vec![1, 2, 3]))).file())
        }),
        scenario("tlv_ignorable", "success", "", || whole(&with_head(|head| head.tlvs.push((0x0777, vec![1, 2, 3]))))),
        scenario("tlv_overrun", "HeaderCorrupt", "a field is longer than the header", || {
            with_header(|header| {
                header[62] = 0xff;
                mend_header(header);
            })
        }),
        scenario("header_longest", "success", "4096 bytes", || {
            whole(&with_head(|head| head.tlvs.push((0x0777, vec![0; 4096 - 96 - 9 - 4]))))
        }),
        scenario("header_too_long", "HeaderCorrupt", "4097 bytes", || {
            nothing(with_head(|head| head.tlvs.push((0x0777, vec![0; 4097 - 96 - 9 - 4]))).file())
        }),
        scenario("header_too_short", "HeaderCorrupt", "a length of 95", || {
            with_header(|header| header[12..16].copy_from_slice(&95_u32.to_le_bytes()))
        }),
        scenario("header_crc_wrong", "HeaderCorrupt", "", || {
            with_header(|header| *header.last_mut().expect("bytes") ^= 1)
        }),
        scenario("header_edited", "HeaderTampered", "another time, and the checksum corrected", || {
            with_header(|header| {
                header[20] ^= 1;
                mend_header(header);
            })
        }),
        scenario("mac_wrong", "HeaderTampered", "the fingerprint is right", || {
            with_header(|header| {
                let at = header.len() - 5;
                header[at] ^= 1;
                mend_header(header);
            })
        }),
        scenario("fingerprint_edited", "HeaderTampered", "the key is right, but made to look wrong", || {
            with_header(|header| {
                header[44] ^= 1;
                mend_header(header);
            })
        }),
    ]
}
