//! Thread CPU time of candidates that take turns: what else the machine does falls on all of
//! them alike.

use cpu_time::ThreadTime;

/// One way of serving a request.
pub(crate) struct Candidate<'a> {
    run: Box<dyn FnMut() -> f64 + 'a>,
    /// Nanoseconds per request, one for each round.
    samples: Vec<f64>,
}

impl<'a> Candidate<'a> {
    /// `run` is one round, and returns its nanoseconds per request.
    pub(crate) fn new(run: impl FnMut() -> f64 + 'a) -> Self {
        Self {
            run: Box::new(run),
            samples: Vec::new(),
        }
    }

    /// Nanoseconds in the quieter rounds.
    pub(crate) fn time(&self) -> f64 {
        quiet(self.samples.iter().copied())
    }
}

/// Lets the candidates take turns, each round beginning with the next one.
pub(crate) fn take_turns(candidates: &mut [Candidate<'_>], rounds: usize) {
    let count = candidates.len();
    for round in 0..rounds {
        for turn in 0..count {
            let candidate = &mut candidates[(round + turn) % count];
            let sample = (candidate.run)();
            candidate.samples.push(sample);
        }
    }
}

/// What a candidate adds to another one, both in their quieter rounds.
pub(crate) fn added(to: &Candidate<'_>, by: &Candidate<'_>) -> f64 {
    by.time() - to.time()
}

/// Runs `work` on each of `inputs`, and returns nanoseconds per input. Nothing counts allocations
/// in these benches: that takes time too, at each allocation, and no server does it.
pub(crate) fn timed<T>(inputs: Vec<T>, mut work: impl FnMut(T)) -> f64 {
    let count = inputs.len();
    let start = ThreadTime::now();
    for input in inputs {
        work(input);
    }
    start.elapsed().as_nanos() as f64 / count as f64
}

/// The first decile: what else a machine does, to caches above all, only ever adds time.
fn quiet(values: impl Iterator<Item = f64>) -> f64 {
    quantile(values, 0.1)
}

pub(crate) fn quantile(values: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
