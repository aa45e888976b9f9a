//! What is old goes, by the time of its channel.

use sqlx::{Connection as _, Executor as _, PgConnection};

use super::support::{CHANNEL, Engine, Home, until};

/// Makes all messages old, lets the log forget their reports, and walks due.
const TIME_PASSES: &str = "
    update messages set
        first_reported_at = now() - interval '500 days',
        last_reported_at = now() - interval '500 days';
    update report_log set
        pruned_through = greatest(pruned_through, (select max(id) from reports));
    delete from reports;
    delete from message_sweeps;
";

#[tokio::test]
async fn old_messages_go_by_the_time_of_their_channel() {
    let home = Home::new(Engine::Postgres).await;
    home.add_channel();
    let update = ["channel", "update", CHANNEL, "--keep-messages-days"];
    home.run(&[&update[..], &["501"]].concat());
    let path = format!("/api/v1/messages/{CHANNEL}/SM1");
    let mut database = PgConnection::connect(&home.database_url).await.unwrap();

    let server = home.serve();
    assert_eq!(server.report("SM1", "delivered").await, 204);
    drop(server);
    for (days, status) in [("501", 200), ("default", 404)] {
        home.run(&[&update[..], &[days]].concat());
        database.execute(TIME_PASSES).await.unwrap();
        let server = home.serve();
        until("the walk has come to its end", async || {
            let finished = sqlx::query_scalar("select finished from message_sweeps");
            finished.fetch_optional(&mut database).await.unwrap() == Some(true)
        })
        .await;
        assert_eq!(server.get(&path).await.0, status, "{days}");
    }
}
