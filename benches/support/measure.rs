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

    /// The median, in nanoseconds.
    pub(crate) fn median(&self) -> f64 {
        median(self.samples.iter().copied())
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

/// The median over all rounds of what a candidate adds to another one in the same round.
pub(crate) fn added(to: &Candidate<'_>, by: &Candidate<'_>) -> f64 {
    median(by.samples.iter().zip(&to.samples).map(|(by, to)| by - to))
}

/// Runs `work` on each of `inputs`, and returns nanoseconds per input.
pub(crate) fn timed<T>(inputs: Vec<T>, mut work: impl FnMut(T)) -> f64 {
    let count = inputs.len();
    let start = ThreadTime::now();
    for input in inputs {
        work(input);
    }
    start.elapsed().as_nanos() as f64 / count as f64
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}
