//! `graven trace`: what something was made from, and what was made from it.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::arguments::Global;
use super::failure::Failure;
use super::inquire::Basis;
use super::render::{self, Traced};
use crate::inquiry::{
    Cut, Direction, Lineage, LineageError, LineageOptions, MAX_DEPTH, MAX_NODES, Start,
};

const DEFAULT_DEPTH: u32 = 8;
const DEFAULT_NODES: usize = 500;

#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
#[derive(Debug, Args)]
#[command(
    after_help = "Every edge says which entry it stands on and how it is known: observed, declared, or inferred \
    from path and time, where a run read a path and did not say which version.\n\
    A target is asked about under every name that meant the same at the time (target.link): --no-links takes it as it is. \
    What it leads to is followed by the names that the entries have.\n\
    Ends with 6 if something was cut off other than by --depth, or cannot be told."
)]
pub(super) struct Arguments {
    /// A run, a target's name, or a digest; run:, target: or digest: in front says which
    what: String,
    /// What it was made from [default]
    #[arg(long, conflicts_with_all = ["down", "all"])]
    up: bool,
    /// What was made from it
    #[arg(long, conflicts_with = "all")]
    down: bool,
    /// Both
    #[arg(long)]
    all: bool,
    /// How many edges from the start; at most 64
    #[arg(long, value_name = "N", default_value_t = DEFAULT_DEPTH)]
    depth: u32,
    /// The most runs and versions; at most 2000
    #[arg(long, value_name = "N", default_value_t = DEFAULT_NODES)]
    nodes: usize,
    /// Format of the lineage
    #[arg(
        short,
        long,
        visible_alias = "format",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    output: Format,
    #[command(flatten)]
    basis: Basis,
}

/// A format of lineage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Tree,
    /// An edge a line
    Jsonl,
    /// One array of edges
    Json,
    /// An edge a record
    Csv,
    /// For Graphviz
    Dot,
}

pub(super) async fn run(arguments: &Arguments, global: &Global) -> Result<ExitCode, Failure> {
    let options = options(arguments)?;
    let start = Start::parse(&arguments.what).map_err(|error| usage(&error))?;
    let mut lineage = Lineage::new(start, options).map_err(|error| usage(&error))?;
    if arguments.basis.follows_links() {
        lineage = lineage.linked();
    }
    let asked = arguments.basis.ask(&mut lineage).await?;
    let found = lineage.found();
    let traced = Traced::new(lineage, options.direction);
    match arguments.output {
        Format::Tree => traced.write_tree()?,
        Format::Jsonl => traced.write_jsonl()?,
        Format::Json => traced.write_json()?,
        Format::Csv => traced.write_csv()?,
        Format::Dot => traced.write_dot()?,
    }
    if !found {
        let what = render::escape(&arguments.what);
        global.say(&format!("no entry names {what}"));
    }
    let cut_off = say_cuts(&traced, options.depth, global);
    let stretches = traced.stretches();
    asked
        .say_stretches(global, usize::from(found), &stretches)
        .await?;
    Ok(asked.code(cut_off))
}

fn options(arguments: &Arguments) -> Result<LineageOptions, Failure> {
    if arguments.depth > MAX_DEPTH {
        return Err(Failure::usage(format!("--depth is at most {MAX_DEPTH}")));
    }
    if arguments.nodes == 0 || arguments.nodes > MAX_NODES {
        return Err(Failure::usage(format!("--nodes is 1 to {MAX_NODES}")));
    }
    Ok(LineageOptions {
        direction: match (arguments.up, arguments.down, arguments.all) {
            (_, _, true) => Direction::All,
            (_, true, _) => Direction::Down,
            (true | false, ..) => Direction::Up,
        },
        depth: arguments.depth,
        nodes: arguments.nodes,
    })
}

fn usage(error: &LineageError) -> Failure {
    Failure::usage(error.to_string())
}

/// Says what was not followed. Whether any of it was not asked for.
fn say_cuts(traced: &Traced, depth: u32, global: &Global) -> bool {
    let deep = |cut: &&Cut| matches!(cut, Cut::Depth(_));
    let beyond = traced.cuts().iter().filter(deep).count();
    if beyond > 0 {
        global.say(&format!(
            "not followed beyond {depth} edges, at {beyond} nodes: --depth for more"
        ));
    }
    let mut others = false;
    for cut in traced.cuts().iter().filter(|cut| !deep(cut)) {
        others = true;
        let node = traced.name(cut.node());
        global.say(&format!("cut off at {node}: {}", cut.why()));
    }
    others
}
