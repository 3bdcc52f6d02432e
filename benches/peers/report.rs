//! The table at the end.

use std::time::Duration;

use super::support::load::Load;

/// What came of a system.
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    /// What its acknowledgement promises.
    pub(crate) promises: &'static str,
    pub(crate) result: Result<Figures, String>,
}

pub(crate) struct Figures {
    /// Of each phase; none where the system has nothing like it.
    pub(crate) loads: Vec<Option<Load>>,
    /// On the disk, with all events.
    pub(crate) bytes: u64,
}

pub(crate) fn print(outcomes: &[Outcome], entries: usize) {
    println!(
        "\n{:<22}{:>23} {:>23} {:>23}",
        "", "1 client", "32 clients", "batches of 1,000"
    );
    print!("{:<22}", "");
    for _ in 0..3 {
        print!("{:>8}{:>7}{:>8} ", "per s", "p50 ms", "p99 ms");
    }
    println!("{:>6}", "B each");
    for outcome in outcomes {
        print!("{:<22}", outcome.name);
        match &outcome.result {
            Err(why) => println!(" {why}"),
            Ok(figures) => print_figures(figures, entries),
        }
    }
    println!(
        "\nBatches: four under way at a time; of Tessera, single entries of 1,000 clients. B each: bytes on the disk."
    );
    println!("An acknowledgement promises:");
    for outcome in outcomes {
        println!("  {:<22}{}", outcome.name, outcome.promises);
    }
}

fn print_figures(figures: &Figures, entries: usize) {
    for load in &figures.loads {
        match load.as_ref().filter(|load| !load.latencies.is_empty()) {
            None => print!("{:>8}{:>7}{:>8} ", "-", "-", "-"),
            Some(load) => {
                let ms = |share| milliseconds(load.percentile(share));
                print!("{:>8.0}{:>7}{:>8} ", load.rate(), ms(0.5), ms(0.99));
            }
        }
    }
    println!("{:>6.0}", figures.bytes as f64 / entries as f64);
}

fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 100.0 {
        format!("{ms:.2}")
    } else {
        format!("{ms:.0}")
    }
}
