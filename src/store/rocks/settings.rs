//! How the engine is set up, and why.
//!
//! Memory is bounded whatever the length of history: memtables, the block cache, which also holds
//! all indexes and filters, and what one flush and one compaction buffer.

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompactionStyle,
    DBCompressionType, DBRecoveryMode, Env, Error, LogLevel, LruCacheOptions, Options,
};

use crate::store::Space;

const KIB: usize = 1024;
const MIB: usize = 1024 * 1024;

const BLOCK_CACHE: usize = 64 * MIB;
/// Four shards: a block must fit a shard many times over, or it displaces everything else in it.
const BLOCK_CACHE_SHARD_BITS: i32 = 2;
const MEMTABLES: usize = 32 * MIB;
const WAL_LIMIT: u64 = 128 << 20;
const MANIFEST_LIMIT: usize = 16 * MIB;
const OPEN_FILES: i32 = 512;

/// What the binding has no setter for. Without the first, the engine resumes by itself after a
/// failed write or sync; recovery has to start from the disk instead.
const DATABASE_EXTRAS: &str = "max_bgerror_resume_count=0";
/// A checksum beside each pair in a memtable, compared again when it is written out.
const FAMILY_EXTRAS: &str = "memtable_protection_bytes_per_key=8";

/// The name a space has on disk. The engine insists on one called `default`.
pub(super) fn family_name(space: Space) -> &'static str {
    match space {
        Space::Meta => rocksdb::DEFAULT_COLUMN_FAMILY_NAME,
        Space::Entry => "entry",
        Space::Detail => "detail",
        Space::Tile => "tile",
        Space::Segment => "segment",
        Space::Id => "id",
    }
}

/// Settings of the whole store, for opening one that exists.
///
/// Left at their defaults on purpose: verification of table identity, of record counts at flush and
/// compaction, and of checksums on every read (all on); reuse of log files, unordered writes, manual
/// log flush and best-effort recovery (all off). Atomic flush is off too: the write-ahead log is
/// always on and replays every family up to the same batch, so flushing all of them together would
/// only split small families into many files.
pub(super) fn database() -> Result<Options, Error> {
    let mut options = Options::default().get_options_from_string(DATABASE_EXTRAS)?;
    let mut env = Env::new()?;
    // Compaction yields to the commit path; flushes run in the other pool and do not.
    env.lower_thread_pool_cpu_priority();
    options.set_env(&env);

    // The default, point in time, silently drops everything behind a flipped bit in the log.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_paranoid_checks(true);
    options.set_max_total_wal_size(WAL_LIMIT);
    options.set_max_manifest_file_size(MANIFEST_LIMIT);
    options.set_db_write_buffer_size(MEMTABLES);

    options.set_max_open_files(OPEN_FILES);
    options.set_max_background_jobs(2);
    // Written tables reach the disk evenly rather than at once, just when a commit wants to sync.
    options.set_bytes_per_sync(MIB as u64);

    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(MIB);
    options.set_keep_log_file_num(2);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    Ok(options)
}

/// The families of all spaces, around one block cache.
pub(super) fn families() -> Result<Vec<ColumnFamilyDescriptor>, Error> {
    let mut cache = LruCacheOptions::default();
    cache.set_capacity(BLOCK_CACHE);
    cache.set_num_shard_bits(BLOCK_CACHE_SHARD_BITS);
    let cache = Cache::new_lru_cache_opts(&cache);
    Space::ALL
        .into_iter()
        .map(|space| {
            Ok(ColumnFamilyDescriptor::new(
                family_name(space),
                family(space, &cache)?,
            ))
        })
        .collect()
}

fn family(space: Space, cache: &Cache) -> Result<Options, Error> {
    let mut options = Options::default().get_options_from_string(FAMILY_EXTRAS)?;
    options.set_compaction_style(DBCompactionStyle::Level);
    options.set_max_write_buffer_number(3);
    options.set_write_buffer_size(match space {
        Space::Entry | Space::Detail => 16 * MIB,
        Space::Id => 8 * MIB,
        Space::Tile => 4 * MIB,
        Space::Meta | Space::Segment => MIB,
    });
    options.set_compression_type(match space {
        // Large groups arrive compressed and LZ4 soon gives up on them; small ones do not.
        Space::Entry | Space::Detail => DBCompressionType::Lz4,
        // Hashes do not compress, and neither do identifiers beyond the shared prefixes that the
        // block format leaves out anyway.
        Space::Tile | Space::Id | Space::Meta | Space::Segment => DBCompressionType::None,
    });

    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_block_size(match space {
        Space::Entry | Space::Detail => 16 * KIB,
        Space::Tile => 8 * KIB,
        Space::Id | Space::Meta | Space::Segment => 4 * KIB,
    });
    if space == Space::Id {
        filter(&mut table);
        options.set_memtable_whole_key_filtering(true);
        options.set_memtable_prefix_bloom_ratio(0.02);
    }
    options.set_block_based_table_factory(&table);
    Ok(options)
}

/// Filters for keys that are mostly looked up in vain. The other spaces go without: their readers
/// ask for what is there.
///
/// Index and filter are cut into parts that the cache holds one by one: over a long history a whole
/// filter outgrows its shard, and each look-up reads it anew.
fn filter(table: &mut BlockBasedOptions) {
    table.set_hybrid_ribbon_filter(10.0, 1);
    table.set_whole_key_filtering(true);
    table.set_optimize_filters_for_memory(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_metadata_block_size(4 * KIB);
    table.set_pin_top_level_index_and_filter(true);
}
