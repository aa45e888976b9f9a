//! The copy of the channels survives the way to the disk and back.

use adapter_files::ChannelSnapshotFile;
use ports::ChannelSnapshot;
use ports::ChannelWithCredentials;
use testkit::builders::{address, channel, credential};

#[test]
fn channels_come_back_as_they_were_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = ChannelSnapshotFile::new(&folder.path().join("channels.json"));
    assert_eq!(file.load().unwrap(), None);
    let mut first = channel("1").build();
    first.senders = vec![address("whatsapp:+15550109999")];
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
fn a_damaged_copy_is_an_error_and_not_an_empty_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("channels.json");
    std::fs::write(&path, b"[{\"id\": ").unwrap();
    assert!(ChannelSnapshotFile::new(&path).load().is_err());
}
