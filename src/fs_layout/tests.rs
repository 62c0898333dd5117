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
