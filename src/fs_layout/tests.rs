use super::*;

fn layout() -> (tempfile::TempDir, Layout) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::open(folder.path()).unwrap();
    layout.make_own().unwrap();
    (folder, layout)
}

/// The only thing that was put aside.
fn aside(layout: &Layout) -> PathBuf {
    let mut found = discarded(&layout.staging());
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn a_folder_in_the_way_of_a_file_is_put_aside_whole() {
    let (_folder, layout) = layout();
    fs::create_dir_all(layout.own().join("memory.json.new/x/y")).unwrap();

    layout.write_if_changed(&layout.memory(), b"new", 0o600).unwrap();

    assert_eq!(fs::read(layout.memory()).unwrap(), b"new");
    assert!(aside(&layout).join("x/y").is_dir());
}

#[test]
fn what_cannot_be_looked_at_is_not_taken_for_gone() {
    let (_folder, layout) = layout();
    let too_long = layout.own().join("x".repeat(300));

    assert!(layout.discard(&too_long).is_err());
    assert!(layout.discard(&layout.own().join("nothing")).is_ok());
}

#[test]
fn what_was_unpacked_in_vain_is_put_aside_and_the_download_stays() {
    let (_folder, layout) = layout();
    let name: AgentName = "alpha".parse().unwrap();
    let staging = layout.agent_staging(&name);
    fs::create_dir_all(staging.join("unpacked/x")).unwrap();
    fs::write(staging.join("alpha-1.0.0.tar.gz"), "x").unwrap();

    layout.discard_unpacked(&name).unwrap();

    assert!(staging.join("alpha-1.0.0.tar.gz").exists() && !staging.join("unpacked").exists());
    assert!(aside(&layout).join("x").is_dir());
}

#[test]
fn a_version_that_is_published_again_takes_the_place_of_the_old_one() {
    let (_folder, layout) = layout();
    let (name, version): (AgentName, Version) = ("alpha".parse().unwrap(), "1.0.0".parse().unwrap());
    let folder = layout.version_folder(&name, &version);
    for content in ["old", "new"] {
        let staged = layout.agent_staging(&name).join("unpacked");
        fs::create_dir_all(&staged).unwrap();
        fs::write(staged.join("file"), content).unwrap();
        layout.publish(&name, &version).unwrap();
        assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), content);
        assert!(!layout.agent_staging(&name).exists());
    }
    assert_eq!(fs::read_to_string(aside(&layout).join("file")).unwrap(), "old");
}
