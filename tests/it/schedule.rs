//! A year of schedules: the code that decides, catalogue, backup and retention over a real folder, with a clock that is
//! told what time it is. Gaps, restarts, jumps of a year, and files that are not the scheduler's.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use console::{
    schedule::Schedule,
    scheduler::{Decider, Observation, Step},
};
use engine::backup::{self, BackupKind, Destination, Job, Silent, Verifications};
use jiff::{SignedDuration, Timestamp};
use profile::{Choice, Profile};
use seqbac_header::SecretKey;
use volume::{Instance, Volume};

use crate::fixture::Data;

const KEEP: usize = 7;

/// Numbers that are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 >> 33).expect("31 bits") % limit
    }

    fn one_in(&mut self, limit: i64) -> bool {
        self.below(limit) == 0
    }
}

/// A volume, and what its scheduler has done.
struct World {
    _data: Data,
    volume: Volume,
    profile: Profile,
    key: SecretKey,
    instance: Instance,
    schedule: Schedule,
    decider: Decider,
    /// Every scheduled backup that was taken, with its slot.
    taken: BTreeMap<PathBuf, (Timestamp, Timestamp)>,
    foreign: BTreeMap<PathBuf, Vec<u8>>,
    verified: usize,
}

impl World {
    fn new(schedule: Schedule) -> Self {
        let data = Data::empty();
        data.database("app.db", "wal", &["one"]);
        let volume = Volume::open(data.root()).expect("a volume");
        volume.prepare().expect("prepared");
        let instance = Instance::ensure(&volume).expect("an instance");
        let profile = engine::finds::load(&Choice::Default, volume.root()).expect("a profile");
        let key = SecretKey::generate().expect("a key");
        let (taken, foreign, decider) = (BTreeMap::new(), BTreeMap::new(), Decider::default());
        Self { _data: data, volume, profile, key, instance, schedule, decider, taken, foreign, verified: 0 }
    }

    /// The scheduler runs, and it is now.
    fn look(&mut self, now: Timestamp) {
        for _ in 0..10 {
            let (volume, key) = (&self.volume, &self.key);
            let look = || Observation::of(volume, &Choice::Default, key, now);
            if self.decider.may_rest(now, &self.schedule) {
                return;
            }
            match self.decider.next(now, &self.schedule, look).expect("decided") {
                Step::BackUp => self.back_up(now),
                Step::Verify => self.verify(now),
                Step::Missed { due, .. } => panic!("{due} was missed at {now}"),
                Step::Rest => return,
            }
        }
        panic!("it never rests at {now}");
    }

    fn back_up(&mut self, now: Timestamp) {
        let slot = self.schedule.latest_slot(now);
        let again = self.taken.iter().find(|(path, (created, _))| {
            path.exists() && *created >= slot && !volume::backups::is_in_the_future(*created, now)
        });
        assert!(again.is_none(), "a second backup at {now} for {slot}: {again:?}");
        let path = self.take(&self.key, &self.instance, BackupKind::Scheduled, now);
        let keep = backup::Keep { scheduled: Some(KEEP), immediate: None };
        backup::prune(&self.volume, &self.key, keep, now).expect("pruned");
        assert!(path.exists(), "the new backup went");
        self.taken.insert(path, (now, slot));
        self.decider.backed_up(now, true);
    }

    fn verify(&mut self, now: Timestamp) {
        Verifications { at: Some(now), ..Verifications::default() }.save(&self.volume).expect("saved");
        self.decider.verified(now, true);
        self.verified += 1;
    }

    fn take(&self, key: &SecretKey, instance: &Instance, kind: BackupKind, now: Timestamp) -> PathBuf {
        let (volume, profile) = (&self.volume, &self.profile);
        let job = Job {
            volume,
            instance,
            profile,
            key,
            kind,
            check: true,
            may_be_empty: false,
            database_wait: std::time::Duration::from_secs(30),
            spool: None,
            own_variables: Vec::new(),
            now,
        };
        backup::take(&job, Destination::Backups, &mut Silent).expect("taken").summary.file
    }

    /// Somebody puts something into the folder.
    fn drop_file(&mut self, chance: &mut Chance, now: Timestamp) {
        let soon = now.checked_add(SignedDuration::from_hours(24 * (2 + chance.below(300)))).expect("a time");
        let day = soon.strftime("%Y%m%d");
        let folder = self.volume.backups();
        let path = match chance.below(5) {
            0 => write(&folder, &format!("seq_{day}.seqbac"), b"made by hand"),
            1 => write(&folder, &format!("app_{day}-x.seqbac"), b""),
            2 => self.take(&self.key, &self.instance, BackupKind::Immediate, now),
            3 => self.another_instances(now),
            _ => write(&folder, "notes.txt", now.to_string().as_bytes()),
        };
        self.foreign.insert(path.clone(), fs::read(path).expect("readable"));
    }

    /// A copy of somebody else's folder.
    fn another_instances(&self, now: Timestamp) -> PathBuf {
        let other = Self::new(self.schedule);
        let made = other.take(&other.key, &other.instance, BackupKind::Scheduled, now);
        let name = format!("seq_{}-{}.seqbac", now.strftime("%Y%m%d"), &other.instance.id.to_string()[..8]);
        let path = self.volume.backups().join(name);
        fs::copy(made, &path).expect("copied");
        path
    }

    fn check(&self, now: Timestamp) {
        let listed = backup::list(&self.volume.backups(), Some(&self.key)).expect("listed");
        let sound = listed.backups.iter().filter(|one| {
            one.kind == BackupKind::Scheduled && one.instance_id == Some(self.instance.id) && one.verified == Some(true)
        });
        let (future, kept): (Vec<_>, Vec<_>) =
            sound.partition(|one| volume::backups::is_in_the_future(one.created, now));
        assert!(kept.len() + future.len() >= KEEP.min(self.taken.len()), "too few at {now}: {kept:?}");
        for (path, content) in &self.foreign {
            assert!(fs::read(path).is_ok_and(|found| found == *content), "{} was touched", path.display());
        }
    }
}

fn write(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    if !path.exists() {
        fs::write(&path, content).expect("written");
    }
    path
}

fn later(now: Timestamp, minutes: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_mins(minutes)).expect("a time")
}

/// Runs a year, and gives the slots that passed while the scheduler ran.
fn year(world: &mut World, chance: &mut Chance) -> BTreeMap<Timestamp, usize> {
    let mut real: Timestamp = "2026-01-01T10:00:00Z".parse().expect("a time");
    let end = later(real, 365 * 24 * 60);
    let (mut jump, mut until) = (0, real);
    let mut passed = BTreeMap::new();
    while real < end {
        let now = later(real, jump);
        world.look(now);
        world.check(now);
        let slot = world.schedule.latest_slot(now);
        passed.insert(slot, world.taken.values().filter(|(_, of)| *of == slot).count());
        if chance.one_in(25) {
            world.decider = Decider::default();
        }
        if chance.one_in(20) {
            world.drop_file(chance, now);
        }
        // The clock is wrong by a year, either way, for up to nine days.
        if jump != 0 && real >= until {
            jump = 0;
        } else if jump == 0 && chance.one_in(60) {
            jump = if chance.one_in(2) { 366 * 24 * 60 } else { -366 * 24 * 60 };
            until = later(real, chance.below(9 * 24 * 60));
        }
        let down = chance.one_in(50);
        real = later(real, if down { chance.below(9 * 24 * 60) } else { 10 + chance.below(6 * 60) });
        if down {
            world.decider = Decider::default();
        }
    }
    passed
}

fn must_have_one_backup_for_each_slot_of_a_year(seed: u64, at: &str) {
    let began = Instant::now();
    let mut chance = Chance(seed);
    let mut world = World::new(at.parse().expect("a time of day"));
    let passed = year(&mut world, &mut chance);
    assert!(passed.len() > 200, "{} slots", passed.len());
    for (slot, count) in &passed {
        assert_eq!(*count, 1, "backups for {slot}");
    }
    assert!(world.foreign.len() > 20 && world.verified > 20, "{} {}", world.foreign.len(), world.verified);
    println!("{} slots, {} backups, {:.1?}", passed.len(), world.taken.len(), began.elapsed());
}

#[test]
fn a_year_with_gaps_restarts_and_jumps_of_the_clock_has_one_backup_for_each_slot_and_keeps_seven() {
    must_have_one_backup_for_each_slot_of_a_year(0x2545_f491_4f6c_dd1d, "03:00");
}

#[test]
fn so_does_a_year_of_backups_shortly_before_midnight() {
    must_have_one_backup_for_each_slot_of_a_year(0x9e37_79b9_7f4a_7c15, "23:45");
}

#[test]
fn a_clock_that_stays_wrong_for_months_costs_no_backup_that_was_not_replaced() {
    let mut world = World::new(Schedule::default());
    let mut now: Timestamp = "2026-01-01T10:00:00Z".parse().expect("a time");
    let day = 24 * 60;
    for jump in [0, 366 * day, 0, -366 * day, 0] {
        for _ in 0..20 {
            world.look(later(now, jump));
            world.check(later(now, jump));
            now = later(now, day);
        }
    }
    assert_eq!(world.taken.len(), 100);
}

#[test]
fn a_backup_that_was_found_damaged_is_not_counted() {
    let mut world = World::new(Schedule::default());
    let mut now: Timestamp = "2026-01-01T10:00:00Z".parse().expect("a time");
    for _ in 0..KEEP {
        world.look(now);
        now = later(now, 24 * 60);
    }
    let damaged = world.taken.keys().nth(3).cloned().expect("a backup");
    let id = backup::summary(&damaged, Some(&world.key)).expect("readable").id;
    let found = Verifications { at: Some(now), failed: [(id, "rot".to_owned())].into() };
    found.save(&world.volume).expect("saved");
    world.look(now);
    assert_eq!(world.taken.len(), KEEP + 1);
    // The damaged one goes once a backup of a later day is sound; the seven sound ones stay.
    assert!(
        world.taken.keys().all(|path| path.exists() != (*path == damaged)),
        "seven sound ones, not the damaged one"
    );
}

/// A copy of a live PostgreSQL cluster makes a backup doubtful.
fn be_doubtful(world: &World, doubtful: bool) {
    let folder = world.volume.root().join("pg");
    if !doubtful {
        return fs::remove_dir_all(folder).expect("removed");
    }
    for name in ["global", "base"] {
        fs::create_dir_all(folder.join(name)).expect("made");
    }
    for (name, text) in [("global/pg_control", "x"), ("postmaster.pid", "4194303\n"), ("PG_VERSION", "15\n")] {
        fs::write(folder.join(name), text).expect("written");
    }
}

/// Thirty days of backups, and what is left: the days of the doubtful ones, and the sound ones.
fn thirty_days(sound: Option<i64>) -> (World, Vec<i64>, Vec<PathBuf>) {
    let mut world = World::new(Schedule::default());
    let first: Timestamp = "2026-01-01T10:00:00Z".parse().expect("a time");
    for day in 1..=30 {
        be_doubtful(&world, true);
        if sound == Some(day) {
            be_doubtful(&world, false);
        }
        world.look(later(first, day * 24 * 60));
    }
    let listed = backup::list(&world.volume.backups(), Some(&world.key)).expect("listed");
    let (sound, doubtful): (Vec<_>, Vec<_>) = listed.backups.iter().partition(|one| one.verified == Some(true));
    let day = |one: &&backup::Summary| one.created.duration_since(first).as_hours() / 24;
    let (days, sound) = (doubtful.iter().map(day).collect(), sound.into_iter().map(|one| one.file.clone()).collect());
    (world, days, sound)
}

#[test]
fn thirty_doubtful_days_leave_the_newest_and_the_oldest() {
    let (_world, days, sound) = thirty_days(None);
    assert!(sound.is_empty());
    assert_eq!(days, [30, 29, 28, 27, 26, 25, 1]);
}

#[test]
fn one_sound_day_among_doubtful_ones_stays_until_seven_newer_ones_are_sound() {
    let (mut world, days, sound) = thirty_days(Some(12));
    assert_eq!((sound.len(), days.len()), (1, 7), "{days:?}");
    be_doubtful(&world, false);
    let mut now: Timestamp = "2026-02-01T10:00:00Z".parse().expect("a time");
    for newer in 1..=7 {
        assert!(sound[0].exists(), "only {} newer ones are sound", newer - 1);
        world.look(now);
        now = later(now, 24 * 60);
    }
    assert!(!sound[0].exists());
    let listed = backup::list(&world.volume.backups(), Some(&world.key)).expect("listed");
    assert!(listed.backups.len() == KEEP && listed.backups.iter().all(|one| one.verified == Some(true)), "{listed:?}");
}
