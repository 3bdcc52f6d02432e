//! PostgreSQL: a plain audit table, and the same with a trigger that chains its rows by hash.
//!
//! Single events are one prepared INSERT a transaction, batches one COPY a transaction, which is the fastest that it takes
//! rows. Nobody else works, no row is ever updated, and the room for the log is such that no checkpoint falls into the run.

use std::path::Path;

use base64::Engine;

use super::feed::{Feed, phases};
use super::pg_wire::{Connection, bind, copy};
use super::report::Figures;
use super::support::events::Row;
use super::support::postgres::Cluster;

/// How the rows are chained.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Chains {
    None,
    /// All in one.
    Shared,
    /// Each connection appends to one of so many.
    OfConnections(usize),
}

const COLUMNS: &str = "occurred_at, actor, action, target, owner, before, after, run, source, source_seq, host, detail";

const TABLE: &str = "
    CREATE TABLE audit (
        CHAINED
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        occurred_at timestamptz NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        target text NOT NULL,
        owner text NOT NULL,
        before text NOT NULL,
        after text NOT NULL,
        run text NOT NULL,
        source text NOT NULL,
        source_seq bigint NOT NULL,
        host text NOT NULL,
        detail jsonb NOT NULL
    );
    CREATE INDEX ON audit (actor);
    CREATE INDEX ON audit (action);
    CREATE INDEX ON audit (target);
    CREATE INDEX ON audit (source);
    CREATE INDEX ON audit (occurred_at);
";

const PLAIN: &str = "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,";
const CHAINED: &str = "
    chain int NOT NULL DEFAULT current_setting('audit.chain')::int,
    id bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (chain, id),";

/// The id is given under the lock, so that it follows the order of the chain. Without statistics the planner might read the
/// whole chain and sort it for every row; the settings keep it to the index.
const TRIGGER: &str = "
    CREATE SEQUENCE audit_id;
    CREATE FUNCTION seal() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        previous bytea;
    BEGIN
        PERFORM pg_advisory_xact_lock(NEW.chain);
        SELECT hash INTO previous FROM audit WHERE chain = NEW.chain ORDER BY id DESC LIMIT 1;
        NEW.id := nextval('audit_id');
        NEW.recorded_at := clock_timestamp();
        NEW.hash := sha256(coalesce(previous, ''::bytea) || HASHED);
        RETURN NEW;
    END $$;
    CREATE TRIGGER seal BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION seal();
    ALTER DATABASE postgres SET enable_seqscan = off;
    ALTER DATABASE postgres SET enable_bitmapscan = off;
    ALTER DATABASE postgres SET enable_sort = off;
";

/// Rows whose hash is not what the row before and their content come to.
const BROKEN: &str = "
    SELECT count(*) FROM (
        SELECT *, lag(hash, 1, ''::bytea) OVER (PARTITION BY chain ORDER BY id) AS previous FROM audit
    ) r WHERE hash <> sha256(previous || HASHED)";

/// What is hashed of a row.
fn hashed(row: &str) -> String {
    let columns: Vec<String> = ["id", "recorded_at"]
        .into_iter()
        .chain(COLUMNS.split(", "))
        .map(|column| format!("{row}.{column}"))
        .collect();
    format!("convert_to(concat_ws('|', {}), 'UTF8')", columns.join(", "))
}

pub(crate) fn run(dir: &Path, feed: &Feed, chains: Chains) -> Result<Figures, String> {
    let cluster = Cluster::start(&dir.join("postgres")).ok_or("not installed")?;
    if chains == Chains::None {
        cluster.sql(&TABLE.replace("CHAINED", PLAIN));
    } else {
        cluster.sql(&TABLE.replace("CHAINED", CHAINED));
        cluster.sql(&TRIGGER.replace("HASHED", &hashed("NEW")));
    }
    let copying = format!("COPY audit ({COLUMNS}) FROM STDIN");
    let encode = |rows: &[Row]| match rows {
        [row] => bind(&values(row)),
        rows => copy(&copying, &lines(rows)),
    };
    let mut loads = Vec::new();
    for phase in phases() {
        let mut clients: Vec<_> = (0..phase.shape.clients())
            .map(|number| client(&cluster, chains, number))
            .collect();
        let call = |client: &mut Connection, bytes: Vec<u8>| client.execute(&bytes);
        loads.push(Some(feed.run(&phase, &mut clients, encode, call)));
    }
    let rows = cluster.number("SELECT count(*) FROM audit");
    assert_eq!(rows, feed.entries() as u64, "every row is there");
    if chains != Chains::None {
        let broken = BROKEN.replace("HASHED", &hashed("r"));
        assert_eq!(cluster.number(&broken), 0, "the chains are whole");
    }
    Ok(Figures {
        loads,
        bytes: cluster.number("SELECT pg_total_relation_size('audit')"),
    })
}

fn client(cluster: &Cluster, chains: Chains, number: usize) -> Connection {
    let mut connection = Connection::open(&cluster.socket);
    if let Chains::OfConnections(chains) = chains {
        connection.run(&format!("SET audit.chain = {}", number % chains));
    } else {
        connection.run("SET audit.chain = 0");
    }
    let parameters: Vec<String> = (1..=COLUMNS.split(", ").count())
        .map(|n| format!("${n}"))
        .collect();
    connection.prepare(&format!(
        "INSERT INTO audit ({COLUMNS}) VALUES ({})",
        parameters.join(", ")
    ));
    connection
}

/// The columns of a row, as text. None has a character that COPY would take for something else.
pub(crate) fn values(row: &Row) -> Vec<String> {
    let detail = base64::engine::general_purpose::STANDARD.encode(row.detail);
    vec![
        jiff::Timestamp::from_nanosecond(row.occurred_at.into())
            .unwrap()
            .to_string(),
        row.actor.clone(),
        row.action.into(),
        row.target.clone(),
        row.owner.clone(),
        row.before.clone(),
        row.after.clone(),
        row.run.clone(),
        row.source.clone(),
        row.number.to_string(),
        row.host.clone(),
        format!("{{\"content\":\"{detail}\"}}"),
    ]
}

/// Rows as lines of values with tabs between them.
pub(crate) fn lines(rows: &[Row]) -> String {
    let mut lines = String::with_capacity(rows.len() * 1_024);
    for row in rows {
        lines += &values(row).join("\t");
        lines.push('\n');
    }
    lines
}
