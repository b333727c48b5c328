// Package readcache keeps what was read of a database in memory, as many bytes as it may, and knows how far that can be
// trusted. It knows no SQL: who owns it looks at the database, and says what came of it.
//
// What is kept is right for this reason. A look that found commits ends with the cache at a position: every change before it
// has been taken out. A value is read after the newest look ended, so on a snapshot at that position or behind it, and kept
// only if no look has found anything since. All changes that it may miss are thus behind the position, where the next look
// begins. And it is given out only while the newest look began less than the longest age ago, and nobody has had doubts
// since: it is no older than that.
//
// Nor does anybody see a value and then an older one. Of one key one reader at a time may keep what it reads, so what is
// kept later was read later. A reader whose value is not kept, and not the one that is there, casts doubt: the cache looks
// again before it gives anything out.
package readcache
