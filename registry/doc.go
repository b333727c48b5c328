// Package registry is one embedded database that a kernel and all its subsystems trust with their state: which modules
// exist and how they are, and the configuration they run on.
//
//	reg, err := registry.Open(ctx, "kernel.db")
//	if err != nil { … }
//	defer reg.Close()
//	rev, err := reg.SetConfig(ctx, "max_threads", 16)
//	threads, err := registry.Get[int](ctx, reg, "max_threads")
//
// # Reading and writing
//
// A [Registry] is a [Reader] and a [Writer]: each of its methods is a transaction of its own. [Registry.View] gives a
// snapshot to read from, [Registry.Update] one transaction to read and write in; the [Tx] that they pass is a Reader or
// Writer too, so that the same code runs in both. [Get], [TryGet] and [Modify] add Go types.
//
// [Reader.ListConfig] has all entries with a prefix at once, [Reader.ScanConfig] one after another, however many there are.
//
// A config value is anything that encoding/json takes. It is stored as compact JSON text. A module is its metadata and
// its state.
//
// # Revisions
//
// Every committed change of a module or a config entry has a revision: a number that grows by one with each row change,
// registry-wide, whoever makes it (this package, a subsystem's SQL, an oxide-k kernel, the sqlite3 shell). Writes return
// theirs, [IfRevision] makes a write conditional on it, and [Reader.Changes] lists what changed since. A [Restore] goes on 2^32 above.
//
// [Registry.Watch] goes on from there: it gives the changes as they happen, in this process or another one.
//
// # Settings
//
// A [Setting] is a config key with its Go type, default and validation: a subsystem declares its own as a block of package
// variables, reads and writes them in and outside of transactions, and watches them.
//
// # Files
//
// The database is SQLite in WAL mode, synced at every commit: a write that returned without an error survives a crash and
// a power loss ([WithDurability] trades that away). Any number of processes may have it open. oxide-k's databases open as
// they are. Next to the file FILE lie FILE-wal and FILE-shm while it is open; [Registry.Backup] makes a copy that is
// complete, copying the file alone does not, and [Restore] puts one back. Never replace or move a file that is open.
//
// SQLite keeps pages of the file in memory as they are used, outside of Go's heap: 128 MiB at most for the connection that
// reads first, and 8 MiB for each other one. Of those there are the one that writes, as many more as reads ran at the same
// time (up to twice GOMAXPROCS, at least 4), one for each View and each open rows of ReadDB (256 at most), one for watches,
// and one for a read cache.
//
// # Encryption
//
// [OpenEncrypted] opens a registry whose values are encrypted in the file, under a keyset of its own that a key-encryption
// key of the caller's wraps (package keyset); each value is bound to its registry and its key. [Encrypt] turns a file that
// exists. [Registry.RotateKeyset] replaces the keys and [Registry.Rewrap] the key-encryption key, while everybody goes on;
// [Registry.Rekey] replaces both if one of them may be known.
// docs/format.md says what is in the file, docs/threat-model.md against whom that helps.
//
// # Errors
//
// All errors are an [*Error] that says what was done and to which key; the sentinels in this package tell the reasons
// apart with errors.Is. The error that a callback returned comes back as it is. No message holds a value.
//
// # Concurrency
//
// A *Registry is safe for concurrent use. A *Tx belongs to its callback. Readers and the one writer do not wait for each
// other; writers wait for their turn, at most [WithLockTimeout], and then get ErrBusy. Inside a callback use its Tx.
//
// Single writes that wait for their turn at the same time share a transaction, and so one sync of the disk: what each does,
// and what it is told, is as if it had been alone. Many goroutines that write are many times as fast as one. An Update has
// a transaction of its own.
package registry
