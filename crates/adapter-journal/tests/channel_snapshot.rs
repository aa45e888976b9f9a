//! The channel snapshot is read back as it was saved.

use adapter_journal::ChannelSnapshotFile;
use ports::ChannelSnapshot;
use ports::ChannelWithCredentials;
use testkit::builders::{address, channel, credential, keep_days};

#[test]
fn channels_are_read_back_as_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = ChannelSnapshotFile::new(&folder.path().join("channels.json"));
    assert_eq!(file.load().unwrap(), None);
    let mut first = channel("1").build();
    first.senders = vec![address("whatsapp:+15550109999")];
    first.keep_messages_days = Some(keep_days(30));
    let saved = vec![
        ChannelWithCredentials {
            channel: first,
            credentials: vec![credential("1", 1).build()],
        },
        ChannelWithCredentials {
            channel: channel("2").build(),
            credentials: Vec::new(),
        },
    ];
    file.save(&[]).unwrap();
    file.save(&saved).unwrap();
    assert_eq!(file.load().unwrap().unwrap(), saved);
}

#[test]
fn snapshot_of_an_earlier_version_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("channels.json");
    let earlier = r#"[{
        "id": "1", "integrator": "twilio", "name": "Service desk", "enabled": true,
        "senders": [], "public_url": null, "signing_token": null,
        "created_at": 1795370000000001, "updated_at": 1795370000000001, "version": 1,
        "credentials": []
    }]"#;
    std::fs::write(&path, earlier).unwrap();
    let read = ChannelSnapshotFile::new(&path).load().unwrap();
    let want = ChannelWithCredentials {
        channel: channel("1").build(),
        credentials: Vec::new(),
    };
    assert_eq!(read, Some(vec![want]));
}

#[test]
fn damaged_snapshot_is_an_error_not_an_empty_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("channels.json");
    std::fs::write(&path, b"[{\"id\": ").unwrap();
    assert!(ChannelSnapshotFile::new(&path).load().is_err());
}
