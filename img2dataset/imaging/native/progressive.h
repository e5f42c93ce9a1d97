/* Scans of a progressive JPEG (ITU-T T.81, annex G), into the coefficients of each component. */
#ifndef SHRINK_PROGRESSIVE_H
#define SHRINK_PROGRESSIVE_H

#include <stddef.h>
#include <stdint.h>

#include "bits.h"
#include "blocks.h"
#include "huffman.h"
#include "types.h"

/* Where a block's bits of what is not 0 lie, after its coefficients. */
enum { KNOWN = 4 };

static inline int16_t shifted(int value, int bits) { return (int16_t)((unsigned)value << bits); }

static int first_mean(bit_reader *reader, decoder *all, component *part, int16_t *block, int low) {
    refill(reader);
    int difference = read_dc(reader, &all->dc[part->dc_table]);
    if (difference == 1 << 16) return -1;
    part->prediction = (int16_t)(part->prediction + difference);
    block[0] = shifted(part->prediction, low);
    return 0;
}

/* ``run``: how many blocks from this one on have nothing more in this scan. ``known``: by zigzag place, a bit for
   each coefficient that is not 0. */
static inline int first_coefficients(bit_reader *reader, const huffman_table *table, const scan *from,
                                     const uint8_t *order, int16_t *block, uint64_t *known, int *run) {
    if (*run) return (*run)--, 0;
    int place = from->first, last = from->last, low = from->low;
    uint64_t found = 0;
    while (place <= last) {
        refill(reader);
        uint32_t entry = table->lookup[reader->buffer >> (64 - LOOKUP_BITS)];
        if (entry & 255) {
            drop(reader, entry & 63);
            place += entry >> 8 & 255;
            block[order[place - 1]] = shifted((int32_t)entry >> 16, low);
            found |= (uint64_t)(entry >> 16 != 0) << ((place - 1) & 63);
            if (place >= END_OF_BLOCK) break;
            continue;
        }
        int symbol = read_symbol(reader, table);
        if (symbol < 0) return -1;
        int zeros = symbol >> 4, size = symbol & 15;
        if (size) {
            place += zeros + 1;
            block[order[place - 1]] = shifted(extended(take(reader, size), size), low);
            found |= 1ull << ((place - 1) & 63);
        } else if (zeros == 15) {
            place += 16;
        } else {
            *run = (1 << zeros) - 1 + (zeros ? (int)take(reader, zeros) : 0);
            place = END_OF_BLOCK;
            break;
        }
    }
    *known |= found;
    return place > last + 1 && place < END_OF_BLOCK ? -1 : 0;
}

/* Reads one more bit of each coefficient in ``which``, none of them 0, in the order of their places. */
static inline void refine(bit_reader *reader, uint64_t which, const uint8_t *order, int16_t *block, int bit) {
    while (which) {
        refill(reader);
        /* Without a branch on what is read: bits are as good as random. */
        for (int i = 0; i < 56 && which; i++, which &= which - 1) {
            int16_t *at = block + order[__builtin_ctzll(which)];
            int sign = *at >> 15, more = bit & -(int)take(reader, 1);
            *at = (int16_t)(*at + ((more ^ sign) - sign));
        }
    }
}

/* Places ``from`` to ``to`` - 1. */
static inline uint64_t places(int from, int to) {
    return (to < 64 ? (1ull << to) - 1 : ~0ull) & ~((1ull << from) - 1);
}

static inline int refine_coefficients(bit_reader *reader, const huffman_table *table, const scan *from,
                                      const uint8_t *order, int16_t *block, uint64_t *known, int *run) {
    int place = from->first, after = from->last + 1, bit = 1 << from->low;
    uint64_t old = *known;
    while (!*run && place < after) {
        refill(reader);
        int symbol = read_symbol(reader, table);
        if (symbol < 0) return -1;
        int zeros = symbol >> 4, value = 0;
        if (symbol & 15) {
            if ((symbol & 15) != 1) return -1;
            value = take(reader, 1) ? bit : -bit;
        } else if (zeros != 15) {
            *run = (1 << zeros) + (zeros ? (int)take(reader, zeros) : 0);
            break;
        }
        /* To the coefficient after so many that are still 0. */
        uint64_t still = ~old & places(place, after);
        for (int i = 0; i < zeros; i++) still &= still - 1;
        int next = still ? __builtin_ctzll(still) : after;
        refine(reader, old & places(place, next), order, block, bit);
        if (value) {
            if (next == after) return -1;
            block[order[next]] = (int16_t)value;
            *known |= 1ull << next;
        }
        place = next + 1;
    }
    if (*run) {
        if (place < after) refine(reader, old & places(place, after), order, block, bit);
        (*run)--;
    }
    return 0;
}

/* One block of a scan; -1 where its bits make no sense. */
static inline int read_part(bit_reader *reader, decoder *all, const scan *from, component *part,
                            const uint8_t *order, int16_t *block, int *run) {
    if (from->first == 0) {
        if (from->high == 0) return first_mean(reader, all, part, block, from->low);
        refill(reader);
        if (take(reader, 1)) block[0] = (int16_t)(block[0] | 1 << from->low);
        return 0;
    }
    const huffman_table *table = &all->ac[part->ac_table];
    uint64_t *known = (uint64_t *)(void *)(block + part->kept + KNOWN);
    if (from->high) return refine_coefficients(reader, table, from, order, block, known, run);
    return first_coefficients(reader, table, from, order, block, known, run);
}

/* The bits of the next restart interval, from ``*at`` on. */
static enum outcome next_interval(decoder *all, const uint8_t **at, bit_reader *reader) {
    ptrdiff_t length = unstuffed(at, all->end, all->bits);
    if (length < 0) return NOT_FOR_US;
    *reader = (bit_reader){.next = all->bits, .end = all->bits + length};
    return OK;
}

/* Moves past a restart marker, which must be number ``*number``. */
static enum outcome restart(decoder *all, const uint8_t **at, bit_reader *reader, int *number) {
    if (!all_were_there(reader) || (*at)[1] != 0xD0 + *number) return NOT_FOR_US;
    *number = (*number + 1) & 7;
    *at += 2;
    for (int i = 0; i < all->components_count; i++) all->components[i].prediction = 0;
    return next_interval(all, at, reader);
}

static enum outcome read_scan(decoder *all, const scan *from) {
    component *single = from->count == 1 ? &all->components[from->components[0]] : NULL;
    /* Scans of several components bring means only, which lie first everywhere. */
    const component *like = single ? single : &all->components[0];
    uint8_t order[ORDER_LENGTH];
    set_order(like, order);
    const uint8_t *at = from->data;
    bit_reader reader;
    enum outcome outcome = next_interval(all, &at, &reader);
    int run = 0, number = 0, until_restart = all->restart_interval;
    int across = single ? single->own_blocks_across : all->mcus_across;
    int down = single ? single->own_blocks_down : all->mcus_down;
    for (int i = 0; i < all->components_count; i++) all->components[i].prediction = 0;
    for (int y = 0; y < down && outcome == OK; y++) {
        for (int x = 0; x < across; x++) {
            if (all->restart_interval && until_restart-- == 0) {
                if ((outcome = restart(all, &at, &reader, &number)) != OK) return outcome;
                run = 0, until_restart = all->restart_interval - 1;
            }
            for (int i = 0; i < from->count; i++) {
                component *part = &all->components[from->components[i]];
                int wide = single ? 1 : part->across, high = single ? 1 : part->down;
                for (int by = 0; by < high; by++)
                    for (int bx = 0; bx < wide; bx++) {
                        size_t index = (size_t)(y * high + by) * part->blocks_across + (x * wide + bx);
                        if (read_part(&reader, all, from, part, order, part->coefficients + index * part->room, &run))
                            return NOT_FOR_US;
                    }
            }
            if (!within(&reader)) return NOT_FOR_US;
        }
    }
    return outcome == OK && !all_were_there(&reader) ? NOT_FOR_US : outcome;
}

#endif
