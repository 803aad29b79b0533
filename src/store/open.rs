//! Opening the store: one daemon per directory, no newer schema, no damaged file.
//!
//! Order matters. First the lock, so that two daemons never look at one file. Then a look at the
//! file through an overlay that keeps every write in memory (redb repairs and marks a file as in use
//! while opening): if the schema is newer or the file is damaged, not one byte of it has changed.
//! Only then the real opening. A new store is built beside its final name and renamed, so that a
//! file of that name is always a whole store: an empty or cut one is damage, never a fresh start.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, StorageBackend};

use super::ballast::{self, Ballast, Ballasted};
use super::errors::OpenError;
use super::tables::{META, create_all, some_missing};
use super::writer::{Home, Store};

/// The schema this release writes. A change of any table or record that an older release cannot
/// read gets the next number, and a migration.
pub const SCHEMA: u64 = 1;

/// The store's file in the data directory.
pub const FILE: &str = "sendoff.redb";

/// How to open the store.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Memory for cached pages, in bytes.
    pub cache_bytes: usize,
    /// Size of the ballast, in bytes.
    pub ballast_bytes: u64,
    /// With less than this free on the disk nothing is done that can wait (a compaction). Bytes.
    pub room_bytes: u64,
    /// The largest file that is compacted, in bytes. Nothing is read or written meanwhile.
    pub compact_upto_bytes: u64,
}

/// Its time grows with the file, and nothing is read or written meanwhile. Measured on two busy cores,
/// built without optimization: 0.17 s for 4 MiB; so well below a second here. Above it the pages are
/// left to be used again.
const COMPACT_UPTO: u64 = 16 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 4 << 20,
            ballast_bytes: ballast::SIZE,
            room_bytes: 64 << 20,
            compact_upto_bytes: COMPACT_UPTO,
        }
    }
}

impl Store {
    /// Opens the store of a data directory, and makes both if they are new (0700, files 0600).
    /// Costs the same however many rows are stored. `now` becomes the birthday of a new store.
    pub fn open(dir: &Path, now: Timestamp, options: Options) -> Result<Self, OpenError> {
        Self::open_locked(DirLock::take(dir)?, now, options)
    }

    /// [`Store::open`] for a caller that had something to look at first, under the lock.
    pub fn open_locked(lock: DirLock, now: Timestamp, options: Options) -> Result<Self, OpenError> {
        let dir = lock.dir.as_path();
        let path = dir.join(FILE);
        let ballast = Ballast::new(dir, options.ballast_bytes);
        let there = match fs::symlink_metadata(&path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(io_error("look at", &path, error)),
        };
        if there {
            inspect(&path)?;
        } else {
            make(dir, &path, now, &ballast)?;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
            .map_err(|source| io_error("set the mode of", &path, source))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|source| io_error("open", &path, source))?;
        let db = on_file(options, file, &ballast).map_err(|error| refine(&path, error))?;
        complete(&db).map_err(|error| refine_any(&path, error))?;
        let home = Home { file: path, compact_upto: options.compact_upto_bytes, room: options.room_bytes };
        Ok(Self::new(db, Some(lock.file), Some(ballast), Some(home)))
    }

    /// A store on any backend, without a directory and its lock: for tests.
    pub fn with_backend(
        backend: impl StorageBackend,
        now: Timestamp,
        options: Options,
    ) -> Result<Self, OpenError> {
        let path = PathBuf::from(FILE);
        let db = builder(options).create_with_backend(backend).map_err(|error| refine(&path, error))?;
        match schema(&db).map_err(|error| refine_any(&path, error))? {
            None => fill(&db, now).map_err(|error| refine_any(&path, error))?,
            Some(found) => known(&path, found)?,
        }
        complete(&db).map_err(|error| refine_any(&path, error))?;
        Ok(Self::new(db, None, None, None))
    }
}

/// The data directory, and that nobody else uses it.
#[derive(Debug)]
pub struct DirLock {
    dir: PathBuf,
    file: File,
}

impl DirLock {
    /// Makes the directory if it is new, and locks it. A second daemon gets [`OpenError::Locked`].
    pub fn take(dir: &Path) -> Result<Self, OpenError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| io_error("create", dir, source))?;
        Ok(Self { dir: dir.to_owned(), file: lock(dir)? })
    }
}

/// Takes the directory's lock, which lives as long as the file handle, whatever ends the process.
fn lock(dir: &Path) -> Result<File, OpenError> {
    use rustix::fs::{FlockOperation, flock};
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| io_error("open", &path, source))?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(io_error("lock", &path, error.into()));
        }
        let mut text = String::new();
        // The number only helps the reader; without it the message is shorter.
        let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
        return Err(OpenError::Locked { dir: dir.to_owned(), pid });
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|source| io_error("write", &path, source))?;
    Ok(file)
}

/// Looks at an existing file without changing it.
fn inspect(path: &Path) -> Result<(), OpenError> {
    let file = File::open(path).map_err(|source| io_error("open", path, source))?;
    let len = file.metadata().map_err(|source| io_error("look at", path, source))?.len();
    if len == 0 {
        return Err(damaged(path, "it is empty"));
    }
    let overlay = Overlay { file, state: Mutex::new(Layer { len, file_len: len, blocks: BTreeMap::new() }) };
    let db = builder(Options::default()).create_with_backend(overlay).map_err(|error| refine(path, error))?;
    let found = schema(&db).map_err(|error| refine_any(path, error))?;
    known(path, found.ok_or_else(|| damaged(path, "it holds no schema number"))?)
}

fn known(path: &Path, found: u64) -> Result<(), OpenError> {
    if found > SCHEMA {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: SCHEMA });
    }
    if found == 0 {
        return Err(damaged(path, "its schema number is 0"));
    }
    Ok(())
}

/// Makes a new store beside its final name and moves it there when it is whole.
fn make(dir: &Path, path: &Path, now: Timestamp, ballast: &Ballast) -> Result<(), OpenError> {
    let fresh = dir.join("sendoff.redb.new");
    let made = make_beside(&fresh, now, ballast);
    if made.is_err() {
        // On a full disk its blocks are wanted; a crash here leaves it to the next start.
        drop(fs::remove_file(&fresh));
    }
    made?;
    fs::rename(&fresh, path).map_err(|source| io_error("rename", &fresh, source))?;
    // The name is durable only when the directory is.
    File::open(dir).and_then(|it| it.sync_all()).map_err(|source| io_error("sync", dir, source))
}

fn make_beside(fresh: &Path, now: Timestamp, ballast: &Ballast) -> Result<(), OpenError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(fresh)
        .map_err(|source| io_error("create", fresh, source))?;
    let db = on_file(Options::default(), file, ballast).map_err(|error| refine(fresh, error))?;
    fill(&db, now).map_err(|error| refine_any(fresh, error))?;
    db.close().map_err(|error| refine(fresh, error))
}

/// Creates the tables and the schema number, in one commit.
fn fill(db: &Database, now: Timestamp) -> Result<(), redb::Error> {
    let mut tx = db.begin_write()?;
    tx.set_quick_repair(true);
    create_all(&tx)?;
    {
        let mut meta = tx.open_table(META)?;
        meta.insert("schema", SCHEMA)?;
        meta.insert("created_ms", u64::try_from(now.as_millisecond()).unwrap_or(0))?;
    }
    tx.commit()?;
    Ok(())
}

/// Adds tables that came later without changing any that were there: no new schema.
fn complete(db: &Database) -> Result<(), redb::Error> {
    if some_missing(&db.begin_read()?)? {
        let mut tx = db.begin_write()?;
        tx.set_quick_repair(true);
        create_all(&tx)?;
        tx.commit()?;
    }
    Ok(())
}

/// The schema number, `None` if there is no such table or row.
fn schema(db: &Database) -> Result<Option<u64>, redb::Error> {
    let rx = db.begin_read()?;
    match rx.open_table(META) {
        Ok(meta) => Ok(meta.get("schema")?.map(|it| it.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn builder(options: Options) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_bytes); // the default is 1 GiB
    builder.set_repair_callback(|it| tracing::warn!(progress = it.progress(), "repairing the store"));
    builder
}

fn on_file(options: Options, file: File, ballast: &Ballast) -> Result<Database, DatabaseError> {
    builder(options).create_with_backend(Ballasted::new(FileBackend::new(file)?, ballast.clone()))
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { doing, path: path.to_owned(), source }
}

fn damaged(path: &Path, why: impl Into<String>) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), why: why.into() }
}

fn refine(path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            OpenError::Locked { dir: path.parent().unwrap_or(path).to_owned(), pid: None }
        }
        other => refine_any(path, other.into()),
    }
}

fn refine_any(path: &Path, error: redb::Error) -> OpenError {
    match error {
        redb::Error::Corrupted(why) => damaged(path, why),
        redb::Error::UpgradeRequired(version) => {
            damaged(path, format!("file format {version} is not one a release of ours wrote"))
        }
        redb::Error::TableTypeMismatch { table, .. } => {
            damaged(path, format!("table `{table}` has columns of other types"))
        }
        redb::Error::Io(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) =>
        {
            damaged(path, error.to_string())
        }
        redb::Error::Io(source) => io_error("read or write", path, source),
        other => OpenError::Store { path: path.to_owned(), source: Box::new(other) },
    }
}

/// A file that is only read; what is written stays in memory and goes with it.
#[derive(Debug)]
struct Overlay {
    file: File,
    state: Mutex<Layer>,
}

#[derive(Debug)]
struct Layer {
    len: u64,
    /// How much of the file still shows: cutting it and growing it again leaves zeros.
    file_len: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

const BLOCK: usize = 4096;

impl Overlay {
    fn layer(&self) -> MutexGuard<'_, Layer> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as it stands, from the layer or the file.
    fn block(&self, layer: &Layer, n: u64) -> io::Result<Box<[u8]>> {
        if let Some(block) = layer.blocks.get(&n) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK].into_boxed_slice();
        let start = n * BLOCK as u64;
        let wanted = layer.file_len.saturating_sub(start).min(BLOCK as u64);
        // At most one block, so the cast cannot cut.
        self.file.read_exact_at(&mut block[..usize::try_from(wanted).unwrap_or(BLOCK)], start)?;
        Ok(block)
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.layer().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let layer = self.layer();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > layer.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut at = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let block = self.block(&layer, at / BLOCK as u64)?;
            let from = usize::try_from(at % BLOCK as u64).unwrap_or(0);
            let some = rest.len().min(BLOCK - from);
            let (now, later) = rest.split_at_mut(some);
            now.copy_from_slice(&block[from..from + some]);
            rest = later;
            at += some as u64;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut layer = self.layer();
        layer.file_len = layer.file_len.min(len);
        layer.len = len;
        let first_gone = len.div_ceil(BLOCK as u64);
        layer.blocks.split_off(&first_gone);
        if let Some(last) = layer.blocks.get_mut(&(len / BLOCK as u64)) {
            last[usize::try_from(len % BLOCK as u64).unwrap_or(0)..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut layer = self.layer();
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let n = at / BLOCK as u64;
            let mut block = self.block(&layer, n)?;
            let from = usize::try_from(at % BLOCK as u64).unwrap_or(0);
            let some = rest.len().min(BLOCK - from);
            block[from..from + some].copy_from_slice(&rest[..some]);
            layer.blocks.insert(n, block);
            rest = &rest[some..];
            at += some as u64;
        }
        Ok(())
    }
}
