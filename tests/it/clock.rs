//! Clocks that are wrong.

use std::fs::{self, File};

use jiff::{SignedDuration, Timestamp};
use seqbac::{HeaderFields, Options, Reader, Writer};
use seqbac_header::{Id, SecretKey};
use volume::{Instance, Volume};

use crate::fixture::{Data, argument, names};

/// A scheduled backup of this volume from a machine whose clock was ahead.
fn from_the_future(data: &Data, name: &str) {
    let key = SecretKey::parse(&data.key(), "the test").expect("a key");
    let model = data.path("Backups").join(names(&data.path("Backups")).pop().expect("a backup"));
    let manifest = Reader::open(File::open(model).expect("opens"), &key, 1).expect("a backup").manifest().to_vec();
    let volume = Volume::open(data.root()).expect("opens");
    let fields = HeaderFields {
        created: Timestamp::now() + SignedDuration::from_hours(24 * 365),
        id: Id::random().expect("random"),
        instance: Instance::load(&volume).expect("reads").map(|instance| instance.id),
        writer: "moorline test".to_owned(),
    };
    let out = File::create(data.path("Backups").join(name)).expect("made");
    let mut writer = Writer::new(out, &key, fields, Options::default()).expect("a writer");
    writer.manifest(&manifest).expect("written");
    writer.finish().expect("finished");
}

#[test]
fn a_backup_from_the_future_neither_stops_the_next_ones_nor_pushes_them_out() {
    let data = Data::with_state();
    let made = data.moorline(&["backup", "--scheduled"]).succeeds();
    for day in 1..=8 {
        from_the_future(&data, &format!("seq_2099010{day}.seqbac"));
    }
    std::fs::remove_file(made.trim_end()).expect("removed");
    let made = data.moorline(&["backup", "--scheduled", "--if-older", "24h"]).succeeds();
    assert!(!made.is_empty(), "the newest that can be believed is gone");
    assert!(std::path::Path::new(made.trim_end()).exists(), "it made room for none from the future");
    assert_eq!(names(&data.path("Backups")).len(), 9);
}

#[test]
fn where_every_backup_is_from_the_future_the_clock_is_what_is_named() {
    let data = Data::with_state();
    let made = data.backup();
    from_the_future(&data, "seq_20990101.seqbac");
    std::fs::remove_file(made).expect("removed");
    data.moorline(&["restore", "-y", "--from-latest"]).fails(75, &["in the future", "clock", "--backup"]);
}

#[test]
fn the_newest_restore_is_taken_back_though_the_clock_went_back() {
    let data = Data::with_state();
    let backup = data.backup();
    data.file("config.json", "second");
    let restore = || data.moorline(&["restore", "-y", "--enable-apps", "--backup", argument(&backup)]).succeeds();
    restore();
    let id = names(&data.path(".moorline/restores")).pop().expect("a restore");
    let journal = data.path(&format!(".moorline/restores/{id}/journal.json"));
    let text = fs::read_to_string(&journal).expect("readable");
    let at = text.find("\"committed\": \"2").expect("a time") + "\"committed\": \"2".len();
    fs::write(&journal, format!("{}1{}", &text[..at], &text[at + 1..])).expect("a hundred years on");
    data.file("config.json", "third");
    restore();
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.read("config.json"), "third");
}
