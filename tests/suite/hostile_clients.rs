//! Clients that mean harm to the real server, by bytes and frames that no library would send. Meanwhile an honest client
//! appends: everything has to be acknowledged, and nothing acknowledged may be lost; see [`Honest::holds`].

use std::time::Duration;

use graven::entry::v1;
use graven::service::client::LedgerServiceClient;
use prost::Message;
use tokio::io::AsyncWriteExt;

use crate::cli_support::Server;
use crate::hostile_support::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Honest, PING, PREFACE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, begin, call, connect, field, flood, frame, is_ended, message, setting,
    stream_ends,
};
use crate::service_support::event;

const APPEND: &str = "/graven.v1.LedgerService/AppendBatch";
const LIST: &str = "/graven.v1.LedgerService/ListEntries";
const SEARCH: &str = "/graven.v1.QueryService/Search";
/// Initial window of streams (RFC 9113 section 6.5.2).
const INITIAL_WINDOW: u16 = 4;

fn large(number: u64) -> v1::Event {
    let mut large = event(number);
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    // Not compressible.
    let content = (0..25_000).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()
    });
    large.detail = Some(v1::Detail {
        content: content.collect::<Vec<u8>>(),
        ..Default::default()
    });
    large
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_of_one_address_are_few_and_of_many_do_not_matter() {
    let server = Server::dev();
    let honest = Honest::begin(&server).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect(&server, 2).await.unwrap());
    }
    let mut refused = 0;
    for connection in &mut silent[..] {
        let ended = tokio::time::timeout(Duration::from_millis(20), is_ended(connection, 1)).await;
        refused += usize::from(ended.is_ok_and(|ended| ended));
    }
    assert!(refused >= 200 - 64, "{refused} of 200 refused");
    for number in 0..300 {
        silent.push(connect(&server, 3 + (number / 60) as u8).await.unwrap());
    }
    honest.holds(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_begin_or_begins_slowly_is_let_go() {
    let server = Server::dev();
    let honest = Honest::begin(&server).await;
    let mut silent = connect(&server, 2).await.unwrap();
    let mut slow = connect(&server, 2).await.unwrap();
    let slowly = async {
        for byte in &PREFACE[..23] {
            if slow.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        is_ended(&mut slow, 30).await
    };
    let (slow, silent) = tokio::join!(slowly, is_ended(&mut silent, 30));
    assert!(slow && silent);
    honest.holds(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_without_an_end_end_the_connection() {
    let server = Server::dev();
    let honest = Honest::begin(&server).await;
    let many = field("x-much", &"y".repeat(100)).repeat(100);
    let connection = begin(&server, &[]).await.unwrap();
    let sent = flood(connection, 4_000, |number| match number {
        0 => frame(HEADERS, 0, 1, &call(APPEND)),
        _ => frame(CONTINUATION, 0, 1, &many),
    })
    .await;
    assert!(
        sent < 16 * 1024 * 1024,
        "{sent} bytes of headers were taken"
    );
    let connection = begin(&server, &[]).await.unwrap();
    flood(connection, 20_000, |number| match number {
        0 => frame(HEADERS, 0, 1, &call(APPEND)),
        _ => frame(CONTINUATION, 0, 1, &[]),
    })
    .await;
    honest.holds(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_resets_pings_settings_and_windows_are_borne() {
    let server = Server::dev();
    let honest = Honest::begin(&server).await;
    let resets = flood(begin(&server, &[]).await.unwrap(), 20_000, |number| {
        let stream = number as u32 * 2 + 1;
        let mut both = frame(HEADERS, END_HEADERS, stream, &call(SEARCH));
        both.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        both
    });
    let pings = flood(begin(&server, &[]).await.unwrap(), 2_000, |_| {
        frame(PING, 0, 0, &[7; 8]).repeat(50)
    });
    let settings = flood(begin(&server, &[]).await.unwrap(), 2_000, |_| {
        frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW, 70_000)).repeat(50)
    });
    let windows = flood(begin(&server, &[]).await.unwrap(), 2_000, |_| {
        frame(WINDOW_UPDATE, 0, 0, &1u32.to_be_bytes()).repeat(50)
    });
    let empty = flood(
        begin(&server, &[]).await.unwrap(),
        2_000,
        |number| match number {
            0 => frame(HEADERS, END_HEADERS, 1, &call(APPEND)),
            _ => frame(DATA, 0, 1, &[]).repeat(50),
        },
    );
    tokio::join!(resets, pings, settings, windows, empty);
    honest.holds(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_open_no_window_hold_little() {
    let server = Server::dev();
    let mut client = LedgerServiceClient::connect(server.url.clone())
        .await
        .unwrap();
    for number in 0..30 {
        let request = v1::AppendBatchRequest {
            events: (0..10).map(|index| large(number * 10 + index)).collect(),
            ack_level: 0,
        };
        client.append_batch(request).await.unwrap();
    }
    let honest = Honest::begin(&server).await;
    let search = v1::SearchRequest {
        page_size: 1_000,
        ..Default::default()
    };
    let mut held = Vec::new();
    for _ in 0..4 {
        let closed = setting(INITIAL_WINDOW, 0);
        let mut connection = begin(&server, &closed).await.unwrap();
        for number in 0..100u32 {
            let (path, body) = match number % 2 {
                0 => (LIST, message(&[])),
                _ => (SEARCH, message(&search.encode_to_vec())),
            };
            let stream = number * 2 + 1;
            let mut asked = frame(HEADERS, END_HEADERS, stream, &call(path));
            asked.extend(frame(DATA, END_STREAM, stream, &body));
            connection.write_all(&asked).await.unwrap();
        }
        held.push(connection);
    }
    // What is asked beyond the places is refused after two seconds.
    tokio::time::sleep(Duration::from_secs(3)).await;
    honest.holds(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_and_compression_that_nobody_may_send_are_refused_before_anything_is_kept() {
    let server = Server::dev();
    let honest = Honest::begin(&server).await;
    let mut connection = begin(&server, &[]).await.unwrap();
    let gigantic = [&[0][..], &u32::MAX.to_be_bytes(), &[7; 1_000]].concat();
    let zipped = [&[1][..], &1_000u32.to_be_bytes(), &[31; 1_000]].concat();
    let garbage = message(&[0xff; 1_000]);
    let unknown = message(&[7; 10]);
    for (number, body) in [gigantic, zipped, garbage, unknown].iter().enumerate() {
        for (offset, path) in [
            APPEND,
            LIST,
            SEARCH,
            "/graven.v1.LedgerService/AppendStream",
        ]
        .iter()
        .enumerate()
        {
            let stream = (number * 4 + offset) as u32 * 2 + 1;
            let mut asked = frame(HEADERS, END_HEADERS, stream, &call(path));
            asked.extend(frame(DATA, END_STREAM, stream, body));
            connection.write_all(&asked).await.unwrap();
            let ended = stream_ends(&mut connection, stream);
            let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
            ended.unwrap().unwrap();
        }
    }
    honest.holds(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_cancelled_at_any_point_leave_nothing_behind() {
    let server = Server::dev();
    let honest = Honest::begin(&server).await;
    let batch = v1::AppendBatchRequest {
        events: (0..50).map(event).collect(),
        ack_level: 0,
    };
    let batch = message(&batch.encode_to_vec());
    let search = message(&[]);
    for round in 0..10 {
        let mut connection = begin(&server, &[]).await.unwrap();
        let mut stream = 1;
        for (path, body) in [(APPEND, &batch), (SEARCH, &search), (LIST, &search)] {
            for part in 0..=4 {
                let cut = body.len() * part / 4;
                let flags = if part == 4 { END_STREAM } else { 0 };
                let mut asked = frame(HEADERS, END_HEADERS, stream, &call(path));
                asked.extend(frame(DATA, flags, stream, &body[..cut]));
                if connection.write_all(&asked).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(300 * round)).await;
                let reset = frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
                if connection.write_all(&reset).await.is_err() {
                    break;
                }
                stream += 2;
            }
        }
        // Half of them vanish with their calls under way.
        if round % 2 == 0 {
            let asked = frame(HEADERS, END_HEADERS, stream, &call(SEARCH));
            let _ = connection.write_all(&asked).await;
        }
    }
    honest.holds(&server).await;
    assert_eq!(server.run(&["verify"], "").status.code(), Some(0));
}
