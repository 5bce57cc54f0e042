/* SPDX-License-Identifier: MIT
 *
 * Seals: what a hardened heap knows of its objects' headers, apart from them.
 *
 * The seal of an object is made from its address, the type in its header, its
 * length if it has one, and a key that the heap drew at random. Seals stand in a
 * side table, one for each two granules (no two headers are nearer), so that a
 * write that runs past an object's end reaches headers, but not their seals. Each
 * says besides which of the two granules it speaks of, and whether the object
 * has a length: so a block can be gone through by its seals alone, and nothing
 * that was overwritten is ever believed.
 *
 *   bit 15       there is an object
 *   bit 14       its header is the odd granule of the two
 *   bit 13       it has a length before its header
 *   bits 0 to 12 the check bits
 *
 * E1  In a hardened heap each object that no sweep has found dead has a seal
 *     that fits it, and nothing else has one. Suspended for copies while a trace
 *     runs: they are sealed when their run is recorded.
 * E2  ... and what lies between objects, or in free blocks, is zero. (A
 *     quarantine that keeps what was left suspends it: it poisons.)
 */
#ifndef STRATA_SEALS_H
#define STRATA_SEALS_H

#include "memory/tables.h"

/* Seals an object whose header, and length, are written. */
void gc_seal(const struct gc_tables *tables, uintptr_t object);

/* Seals the copies that stand one after another from `from` to `to`. */
void gc_seal_run(const struct gc_tables *tables, uintptr_t from, uintptr_t to);

/* Whether an object is sealed here; and whether its seal fits. The address is
 * in the range, of memory that is or was in use, and a multiple of a granule. */
bool gc_is_sealed(const struct gc_tables *tables, uintptr_t object);
bool gc_seal_fits(const struct gc_tables *tables, uintptr_t object);

/* Ends the program unless the seal of an object, which has one, fits; or those
 * of all objects of a block, and, if `zeroed`, what lies between is zero. */
void gc_seal_check(const struct gc_tables *tables, uintptr_t object);
void gc_seals_check(const struct gc_tables *tables, uint32_t block, bool zeroed);

/* Drops the seals of what lies between the objects of a swept block, as its
 * starts have them, and zeroes it, if asked to; or both from an address to
 * another. */
void gc_scrub_gaps(struct gc_tables *tables, uint32_t block, bool zero);
void gc_scrub(const struct gc_tables *tables, uintptr_t from, uintptr_t to, bool zero);

#endif
