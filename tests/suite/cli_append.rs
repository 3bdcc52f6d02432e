//! Events from a pipe that stays open, and answers that do not come.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;

use super::cli_support::{Server, graven, run, stderr, stdout};

fn event(run: u32) -> String {
    format!(
        r#"{{"action":"run.start","source":"agent:one","run":"{run}","target":"slurm://a100/job/{run}"}}"#
    )
}

#[test]
fn events_of_a_pipe_are_sealed_as_they_come() {
    let server = Server::dev();
    let mut child = server
        .command(&["append"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 0..3 {
        writeln!(input, "{}", event(number)).unwrap();
        // The pipe stays open, and nothing more comes before this is answered.
        assert_eq!(output.next().unwrap().unwrap(), number.to_string());
    }
    drop(input);
    assert!(output.next().is_none());
    assert!(child.wait().unwrap().success());
    // What has come goes together, as before.
    let many: Vec<String> = (3..2_503).map(event).collect();
    let sealed = server.prints(&["append"], &many.join("\n"));
    assert_eq!(sealed.lines().count(), 2_500);
}

#[test]
fn a_server_that_takes_the_connection_and_says_nothing_is_not_reached() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let output = run(graven().args(["log", "--server", &url]), "");
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("the connection to the server failed"));
    assert_eq!(stdout(&output), "");
}

#[test]
fn what_is_wrong_with_an_event_is_said_by_its_name_in_json() {
    let server = Server::dev();
    let target = r#""target":"slurm://a100/job/1""#;
    for (line, problem) in [
        ("{}".to_owned(), "line 1: action is required"),
        (
            format!(r#"{{"action":"job.cancel",{target}}}"#),
            "line 1: source is required",
        ),
        (
            format!(r#"{{"action":"Job Cancel","source":"agent:one",{target}}}"#),
            "line 1: action is ",
        ),
        (
            format!(r#"{{"action":"job.cancel","source":"s\ud800",{target}}}"#),
            "line 1: source: is not valid Unicode",
        ),
    ] {
        let output = server.run(&["append"], &line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
    }
    let id = ["--target", "slurm://a100/job/1", "--source", "agent:one"];
    let empty = [&["append", "--action", "job.cancel", "--id", ""], &id[..]].concat();
    assert_eq!(server.run(&empty, "").status.code(), Some(2));
}
