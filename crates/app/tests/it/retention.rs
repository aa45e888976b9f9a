//! Retention of the built program.

use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

use super::support::{CHANNEL, Engine, Installation, Server, until};

/// Makes all messages old, removes their reports from the log, and makes scans due. Retention
/// counts as just run, also if the server was killed before its first run.
const TIME_PASSES: &str = "
    update messages set
        first_reported_at = now() - interval '500 days',
        last_reported_at = now() - interval '500 days';
    update report_log set
        pruned_through = greatest(pruned_through, (select max(id) from reports));
    delete from reports;
    delete from message_scans;
    insert into retention_runs (kind, ran_at, held_back)
    select kind, now(), false from unnest(array['reports', 'messages', 'deliveries', 'audit']) as kind
    on conflict do nothing;
";

#[tokio::test]
async fn messages_expire_by_the_retention_of_their_channel() {
    let home = Installation::new(Engine::Postgres).await;
    home.add_channel();
    let update = |days| format!("channel update {CHANNEL} --keep-messages-days {days}");
    home.run(&update("501"));
    let path = format!("/api/v1/messages/{CHANNEL}/SM1");
    let mut database = PgConnection::connect(&home.database_url).await.unwrap();

    let server = home.serve();
    assert_eq!(server.report("SM1", "delivered").await, 204);
    drop(server);
    for (days, status) in [("501", 200), ("default", 404)] {
        home.run(&update(days));
        database.execute(TIME_PASSES).await.unwrap();
        let server = home.serve();
        until("the scan has finished", async || {
            let finished = sqlx::query_scalar("select finished from message_scans");
            finished.fetch_optional(&mut database).await.unwrap() == Some(true)
        })
        .await;
        assert_eq!(server.get(&path).await.0, status, "{days}");
    }
}

/// Either nothing ran for ten days, or the clock is ten days ahead: the two look the same.
const TEN_DAYS_WITHOUT_A_RUN: &str = "
    update retention_runs set ran_at = ran_at - 10 * 86400000000;
    update reports set arrived_at = arrived_at - 95 * 86400000000;
";

async fn retention_part(server: &Server) -> (String, String) {
    let (_, health) = server.get("/readyz").await;
    let parts = health["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["name"] == "retention");
    let part = part.unwrap();
    let text = |name: &str| part[name].as_str().unwrap_or_default().to_owned();
    (text("condition"), text("detail"))
}

async fn held_back(server: &Server) -> bool {
    server.metric("receiptd_retention_held_back").await > 0.0
}

#[tokio::test]
async fn retention_that_has_not_run_for_long_removes_nothing_until_it_is_released() {
    let home = Installation::new(Engine::Sqlite).await;
    home.add_channel();
    let mut database = SqliteConnection::connect(&home.database_url).await.unwrap();
    let server = home.serve();
    assert_eq!(server.report("SM1", "delivered").await, 204);
    until("retention has run", async || {
        let runs = sqlx::query_scalar::<_, i64>("select count(*) from retention_runs");
        runs.fetch_one(&mut database).await.unwrap() == 4
    })
    .await;
    server.stop();
    database.execute(TEN_DAYS_WITHOUT_A_RUN).await.unwrap();

    let reports = async |server: &Server| {
        let path = format!("/api/v1/messages/{CHANNEL}/SM1");
        let (_, message) = server.get(&path).await;
        message["reports"].as_array().unwrap().len()
    };
    let server = home.serve();
    until("retention is held back", async || {
        retention_part(&server).await.0 == "degraded"
    })
    .await;
    let (_, why) = retention_part(&server).await;
    assert!(why.contains("the last run was too long ago"), "{why}");
    assert!(held_back(&server).await);
    assert!(server.log().contains("retention stopped"));
    assert_eq!(reports(&server).await, 1);
    let shown = home.json("retention show");
    let why = shown[0]["held_back"].as_str().unwrap();
    assert!(why.contains("receiptd retention release"), "{why}");
    assert!(shown[1]["held_back"].is_null());

    home.run("retention release");
    server.stop();
    let server = home.serve();
    until("the report is gone", async || reports(&server).await == 0).await;
    assert_eq!(retention_part(&server).await.0, "ready");
    assert!(!held_back(&server).await);
}
