//! `/metrics`: the findings of `/health` for Prometheus, in the format OpenMetrics 1.0.

use std::sync::{Arc, atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use super::{
    Console,
    health::{self, Health},
};
use engine::backup::Soundness;
use volume::error::{Code, Error, Result};

pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text";
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Real = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SoundnessLabel {
    soundness: &'static str,
}

pub(crate) async fn render(console: &Arc<Console>) -> Result<String> {
    let health = health::check(console).await?;
    text(&health, console.jobs.failures(), console.jobs.running().len())
}

fn text(health: &Health, failures: u64, running: usize) -> Result<String> {
    let mut registry = Registry::with_prefix("moorline");
    registry.register("build", "The version of moorline", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    registry.register("healthy", "1 if /health is ok, 0 if it is degraded", count(health.degraded.is_empty().into()));
    backups(&mut registry, health);
    let failed = Counter::<u64>::default();
    failed.inc_by(failures);
    registry.register("backup_failures", "Backups that failed since the start of the console", failed);
    registry.register("quarantined_apps", "Apps in quarantine", count(health.quarantined));
    registry.register("jobs_running", "Running child processes", count(running));
    let mut text = String::new();
    encode(&mut text, &registry).map_err(|_| Error::new(Code::Bug, "cannot write the metrics"))?;
    Ok(text)
}

fn backups(registry: &mut Registry, health: &Health) {
    let kept = Family::<KindLabel, Gauge>::default();
    kept.get_or_create(&KindLabel { kind: "scheduled" }).set(whole(health.scheduled_kept));
    kept.get_or_create(&KindLabel { kind: "immediate" }).set(whole(health.immediate_kept));
    registry.register("backups_kept", "Kept backups of this instance", kept);
    registry.register("backups_damaged", "Kept backups that are damaged", count(health.damaged));
    if let Some(newest) = health.soundness {
        let family = Family::<SoundnessLabel, Gauge>::default();
        for one in [Soundness::Sound, Soundness::Doubtful, Soundness::Suspect, Soundness::Damaged] {
            family.get_or_create(&SoundnessLabel { soundness: one.word() }).set((one == newest).into());
        }
        registry.register("backup_newest_soundness", "1 for the soundness of the newest backup, else 0", family);
    }
    let seconds = |at: jiff::Timestamp| real(at.as_millisecond() as f64 / 1000.0);
    let next = "Time of the next scheduled backup";
    registry.register("backup_next_timestamp_seconds", next, seconds(health.next_run));
    let verified = "1 if a verified backup exists, else 0";
    registry.register("backup_last_verified", verified, count(health.newest.is_some().into()));
    if let Some(newest) = &health.newest {
        let made = "Time of the newest verified backup";
        registry.register("backup_last_success_timestamp_seconds", made, seconds(newest.created_at));
        let size = "Size of the newest verified backup";
        registry.register("backup_last_size_bytes", size, real(newest.file_size_bytes as f64));
    }
    if let Some(age) = health.age_seconds {
        registry.register("backup_age_seconds", "Age of the newest verified backup", real(age as f64));
    }
    if let Some(elapsed) = health.last_result.as_ref().and_then(|last| last.elapsed_seconds) {
        registry.register("backup_last_duration_seconds", "Duration of the last backup", real(elapsed));
    }
    if let Some(at) = health.verified_at {
        let all = "Time of the last full verification of all kept backups";
        registry.register("verification_last_timestamp_seconds", all, seconds(at));
    }
}

fn real(value: f64) -> Real {
    let gauge = Real::default();
    gauge.set(value);
    gauge
}

fn count(value: usize) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(whole(value));
    gauge
}

fn whole(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{LastResult, Newest};

    #[test]
    fn names_and_units_follow_the_conventions_of_prometheus() {
        let at = |text: &str| text.parse().expect("a time");
        let mut health = Health {
            degraded: Vec::new(),
            warnings: Vec::new(),
            newest: Some(Newest {
                filename: "seq_20260310.seqbac".into(),
                created_at: at("2026-03-10T03:00:00.5Z"),
                file_size_bytes: 1024,
            }),
            age_seconds: Some(60),
            soundness: Some(Soundness::Doubtful),
            scheduled_kept: 7,
            immediate_kept: 1,
            damaged: 0,
            verified_at: None,
            last_result: Some(LastResult { at: at("2026-03-10T03:00:01Z"), error: None, elapsed_seconds: Some(1.5) }),
            quarantined: 2,
            next_run: at("2026-03-11T03:00:00Z"),
        };
        let metrics = text(&health, 3, 0).expect("text");
        for line in [
            "moorline_healthy 1",
            "moorline_backup_last_success_timestamp_seconds 1773111600.5",
            "moorline_backup_last_size_bytes 1024.0",
            "moorline_backup_last_duration_seconds 1.5",
            "moorline_backup_age_seconds 60.0",
            "moorline_backup_last_verified 1",
            "moorline_backup_failures_total 3",
            "moorline_quarantined_apps 2",
            "moorline_backup_next_timestamp_seconds 1773198000.0",
            "moorline_backups_kept{kind=\"scheduled\"} 7",
            "moorline_backup_newest_soundness{soundness=\"doubtful\"} 1",
            "moorline_backup_newest_soundness{soundness=\"sound\"} 0",
            "# TYPE moorline_backup_failures counter",
            "# EOF",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
        }
        (health.newest, health.age_seconds, health.degraded) = (None, None, vec!["x".to_owned()]);
        let metrics = text(&health, 0, 0).expect("text");
        assert!(metrics.contains("moorline_healthy 0\n") && !metrics.contains("last_success"), "{metrics}");
    }
}
