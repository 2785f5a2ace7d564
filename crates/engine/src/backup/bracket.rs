//! What happens around the copy of a capture, carried out by its guard: `before` and `after`, and the server's processes that
//! are stopped meanwhile. This is the backup's side of [`super::guard`].

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::Instant,
};

use super::{
    Job, Progress,
    guard::{Answer, Task, records_of},
};
use crate::{command::Setting, prelude::*};
use process::Isolation;
use profile::{Capture, capture::Form};
use volume::lock;

/// How often a stop is looked for.
const TICK: Duration = Duration::from_millis(20);
/// How long a backup that has failed waits for its guard.
const PATIENCE: Duration = Duration::from_secs(10);

/// A guard at work. Dropping it makes the guard undo everything, as does the end of this process.
pub(super) struct Bracket {
    child: Child,
    input: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Bracket {
    /// Starts the guard of a capture that needs one, and returns when the copy can begin.
    pub fn open(job: &Job, capture: &Capture, setting: &Setting, progress: &mut dyn Progress) -> Result<Option<Self>> {
        let freeze = match &capture.form {
            Form::Files { max_pause: Some(most), .. } => Some((server(job.volume)?, *most)),
            _ => None,
        };
        if freeze.is_none() && capture.before.is_empty() && capture.after.is_empty() {
            return Ok(None);
        }
        let task = Task { freeze, ..Task::of(capture, setting, &records_of(job.volume)) };
        let own = Path::new("/proc/self/exe");
        let mut command = Command::new(own);
        command.arg("capture-guard").stdin(Stdio::piped()).stdout(Stdio::piped());
        for name in &job.own_variables {
            command.env_remove(name);
        }
        Isolation::default().apply(&mut command);
        let mut child = command.spawn().on("start", own)?;
        let input = child.stdin.take();
        let Some(output) = child.stdout.take() else {
            return Err(Error::new(Code::Bug, "a guard was started without a pipe"));
        };
        let mut this = Self { child, input, answers: BufReader::new(output) };
        let mut line = serde_json::to_vec(&task)
            .map_err(|cause| Error::new(Code::Bug, format!("cannot serialize a task: {cause}")))?;
        line.push(b'\n');
        if let Some(input) = &mut this.input {
            input.write_all(&line).on("write to", own)?;
        }
        this.answer(progress)?;
        Ok(Some(this))
    }

    /// Returns when everything is undone.
    pub fn close(mut self, name: &str, progress: &mut dyn Progress) -> Result<()> {
        drop(self.input.take());
        let answer = self.answer(progress)?;
        if let Some(paused) = answer.paused {
            log::info!("the capture {name:?} stopped the server for {paused:.2?}");
        }
        Ok(())
    }

    /// The next answer of the guard. A stop of the backup ends the guard.
    fn answer(&mut self, progress: &mut dyn Progress) -> Result<Answer> {
        let dead = || Error::new(Code::TryAgain, "the guard of the capture has ended").hint("take the backup again");
        let Self { input, answers, .. } = self;
        let line = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut line = String::new();
                answers.read_line(&mut line).map(|_| line)
            });
            while !reader.is_finished() {
                if let Err(error) = progress.check() {
                    // Its answer follows when it has undone everything.
                    drop(input.take());
                    drop(reader.join());
                    return Err(error);
                }
                thread::sleep(TICK);
            }
            let read = reader.join().map_err(|_| dead())?;
            read.on("read the answer of", Path::new("the guard"))
        })?;
        let answer: Answer = serde_json::from_str(&line).map_err(|_| dead())?;
        match &answer.error {
            None => Ok(answer),
            Some((message, hint)) => {
                let error = Error::new(Code::TryAgain, message.as_str());
                Err(if let Some(hint) = hint { error.hint(hint.as_str()) } else { error })
            }
        }
    }
}

impl Drop for Bracket {
    fn drop(&mut self) {
        drop(self.input.take());
        // A guard that cannot finish goes on without this process.
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(TICK);
        }
    }
}

/// The process whose descendants are the server: the holder of the volume's lock, if it is in this container.
fn server(volume: &Volume) -> Result<i32> {
    let elsewhere = || {
        let what = "the server's processes cannot be seen from here, so they cannot be stopped for a moment";
        Error::new(Code::Unexpected, what)
            .hint("take the backup in the server's own container: start it with `run --supervise`, or run `moorline backup` there")
    };
    let holder = lock::holder(volume)?.filter(|holder| holder.host == lock::host()).ok_or_else(elsewhere)?;
    let holds = lock::is_open_in(volume, holder.pid);
    i32::try_from(holder.pid).ok().filter(|_| holds).ok_or_else(elsewhere)
}
