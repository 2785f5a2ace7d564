//! A thread pool that processes buffers and returns the results in the order of submission.
//!
//! Threads start only when there is work for them, so a small backup starts at most one. If the kernel refuses a thread
//! (process limit), the caller does the work. Buffers are reused, because musl's allocator maps and unmaps memory for
//! every buffer of 1 MiB.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread::{self, JoinHandle},
};

/// The function of a thread: reads the input and fills the output, which is empty before.
pub(super) type Work = Box<dyn FnMut(&[u8], &mut Vec<u8>) -> io::Result<()> + Send>;

pub(super) struct Done {
    pub input: Vec<u8>,
    pub output: Vec<u8>,
    pub result: io::Result<()>,
}

struct Job {
    input: Vec<u8>,
    output: Vec<u8>,
    reply: Sender<Done>,
}

enum Pending {
    Ready(Done),
    Running(Receiver<Done>),
}

pub(super) struct Pool {
    make: fn(i32) -> io::Result<Work>,
    setting: i32,
    most: usize,
    workers: Vec<JoinHandle<()>>,
    jobs: Option<Sender<Job>>,
    queue: Arc<Mutex<Receiver<Job>>>,
    pending: VecDeque<Pending>,
    inline: Option<Work>,
    spare: Vec<Vec<u8>>,
}

impl Pool {
    /// `make` creates the function of a thread from `setting`. With `threads` = 1, the caller does all the work.
    pub fn new(threads: usize, setting: i32, make: fn(i32) -> io::Result<Work>) -> Self {
        let (jobs, queue) = mpsc::channel();
        Self {
            make,
            setting,
            most: threads,
            workers: Vec::new(),
            jobs: Some(jobs),
            queue: Arc::new(Mutex::new(queue)),
            pending: VecDeque::new(),
            inline: None,
            spare: Vec::new(),
        }
    }

    /// Whether the next result should be taken before more work is handed in.
    pub fn is_full(&self) -> bool {
        // One more than there are threads, so that no thread waits while the caller is busy.
        let limit = if self.most > 1 { self.most + 1 } else { 1 };
        self.pending.len() >= limit
    }

    /// An empty buffer, reused if possible.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        if self.spare.len() < 2 * self.most + 4 {
            self.spare.push(buffer);
        }
    }

    pub fn submit(&mut self, input: Vec<u8>, output: Vec<u8>) -> io::Result<()> {
        if self.most > 1 && self.workers.len() < self.most && self.workers.len() <= self.pending.len() {
            self.start_worker();
        }
        if self.workers.is_empty() {
            return self.work_inline(input, output);
        }
        let (reply, done) = mpsc::channel();
        let job = Job { input, output, reply };
        if self.jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
            return Err(stopped());
        }
        self.pending.push_back(Pending::Running(done));
        Ok(())
    }

    /// Waits for the oldest submitted job; `None` if no job is pending.
    pub fn next(&mut self) -> io::Result<Option<Done>> {
        match self.pending.pop_front() {
            None => Ok(None),
            Some(Pending::Ready(done)) => Ok(Some(done)),
            Some(Pending::Running(done)) => done.recv().map(Some).map_err(|_| stopped()),
        }
    }

    fn work_inline(&mut self, input: Vec<u8>, mut output: Vec<u8>) -> io::Result<()> {
        let work = match &mut self.inline {
            Some(work) => work,
            none => none.insert((self.make)(self.setting)?),
        };
        let result = work(&input, &mut output);
        self.pending.push_back(Pending::Ready(Done { input, output, result }));
        Ok(())
    }

    fn start_worker(&mut self) {
        let queue = Arc::clone(&self.queue);
        let (make, setting) = (self.make, self.setting);
        match thread::Builder::new().name("seqbac".to_owned()).spawn(move || run(&queue, make, setting)) {
            Ok(worker) => self.workers.push(worker),
            Err(_) => self.most = self.workers.len().max(1),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // A panic of a worker was already reported, because its result was missing.
            drop(worker.join());
        }
    }
}

fn run(queue: &Mutex<Receiver<Job>>, make: fn(i32) -> io::Result<Work>, setting: i32) {
    let mut work = make(setting);
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { input, mut output, reply }) = job else { return };
        let result = match &mut work {
            Ok(work) => work(&input, &mut output),
            Err(cause) => Err(io::Error::new(cause.kind(), cause.to_string())),
        };
        // Sending fails only if the pool is being dropped.
        drop(reply.send(Done { input, output, result }));
    }
}

fn stopped() -> io::Error {
    io::Error::other("a compression thread stopped unexpectedly")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(_: i32) -> io::Result<Work> {
        Ok(Box::new(|input, output| {
            thread::sleep(std::time::Duration::from_millis(u64::from(input[0]) % 3));
            output.extend(input.iter().map(|byte| byte.wrapping_mul(2)));
            Ok(())
        }))
    }

    #[test]
    fn results_are_returned_in_the_order_of_the_jobs() {
        for threads in [1, 2, 5] {
            let mut pool = Pool::new(threads, 0, double);
            let mut seen = Vec::new();
            for number in 0..50 {
                while pool.is_full() {
                    seen.push(pool.next().expect("works").expect("a job").output[0]);
                }
                pool.submit(vec![number], Vec::new()).expect("works");
            }
            while let Some(done) = pool.next().expect("works") {
                seen.push(done.output[0]);
            }
            assert_eq!(seen, (0..50).map(|number| number * 2).collect::<Vec<u8>>(), "{threads} threads");
        }
    }
}
