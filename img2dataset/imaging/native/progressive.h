/* Scans of a progressive JPEG (ITU-T T.81, annex G), into the coefficients of each component. */
#ifndef SHRINK_PROGRESSIVE_H
#define SHRINK_PROGRESSIVE_H

#include <stddef.h>
#include <stdint.h>

#include "bits.h"
#include "blocks.h"
#include "huffman.h"
#include "types.h"

/* Where the 64 bits that say which coefficients are not 0 lie, after a block's coefficients. */
enum { NONZERO = 4 };

static inline int16_t shifted(int value, int bits) { return (int16_t)((unsigned)value << bits); }

static int first_dc(bit_reader *reader, decoder *jpeg, component *part, int16_t *block, int low) {
    refill(reader);
    int difference = read_dc(reader, &jpeg->dc[part->dc_table]);
    if (difference == 1 << 16) return -1;
    part->prediction = (int16_t)(part->prediction + difference);
    block[0] = shifted(part->prediction, low);
    return 0;
}

/* ``run``: how many blocks from this one on have nothing more in this scan. ``nonzero``: by zigzag index, a bit for
   each coefficient that is not 0. */
static inline int first_ac(bit_reader *reader, const huffman_table *table, const scan *from,
                                     const uint8_t *order, int16_t *block, uint64_t *nonzero, int *run) {
    if (*run) return (*run)--, 0;
    int zigzag = from->first, last = from->last, low = from->low;
    uint64_t found = 0;
    while (zigzag <= last) {
        refill(reader);
        uint32_t entry = table->lookup[reader->buffer >> (64 - LOOKUP_BITS)];
        if (entry & 255) {
            drop(reader, entry & 63);
            zigzag += entry >> 8 & 255;
            block[order[zigzag - 1]] = shifted((int32_t)entry >> 16, low);
            found |= (uint64_t)(entry >> 16 != 0) << ((zigzag - 1) & 63);
            if (zigzag >= END_OF_BLOCK) break;
            continue;
        }
        int symbol = read_symbol(reader, table);
        if (symbol < 0) return -1;
        int zeros = symbol >> 4, size = symbol & 15;
        if (size) {
            zigzag += zeros + 1;
            block[order[zigzag - 1]] = shifted(extended(take(reader, size), size), low);
            found |= 1ull << ((zigzag - 1) & 63);
        } else if (zeros == 15) {
            zigzag += 16;
        } else {
            *run = (1 << zeros) - 1 + (zeros ? (int)take(reader, zeros) : 0);
            zigzag = END_OF_BLOCK;
            break;
        }
    }
    *nonzero |= found;
    return zigzag > last + 1 && zigzag < END_OF_BLOCK ? -1 : 0;
}

/* Reads one more bit of each coefficient in ``which``, none of them 0, in zigzag order. */
static inline void refine(bit_reader *reader, uint64_t which, const uint8_t *order, int16_t *block, int bit) {
    while (which) {
        refill(reader);
        /* Without a branch on the bit read, which no processor could predict. */
        for (int i = 0; i < 56 && which; i++, which &= which - 1) {
            int16_t *at = block + order[__builtin_ctzll(which)];
            int sign = *at >> 15, more = bit & -(int)take(reader, 1);
            *at = (int16_t)(*at + ((more ^ sign) - sign));
        }
    }
}

/* A bit for each zigzag index from ``from`` to ``to`` - 1. */
static inline uint64_t zigzag_range(int from, int to) {
    return (to < 64 ? (1ull << to) - 1 : ~0ull) & ~((1ull << from) - 1);
}

static inline int refine_ac(bit_reader *reader, const huffman_table *table, const scan *from,
                                      const uint8_t *order, int16_t *block, uint64_t *nonzero, int *run) {
    int zigzag = from->first, after = from->last + 1, bit = 1 << from->low;
    uint64_t old = *nonzero;
    while (!*run && zigzag < after) {
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
        /* Skip ``zeros`` coefficients that are still 0. */
        uint64_t still = ~old & zigzag_range(zigzag, after);
        for (int i = 0; i < zeros; i++) still &= still - 1;
        int next = still ? __builtin_ctzll(still) : after;
        refine(reader, old & zigzag_range(zigzag, next), order, block, bit);
        if (value) {
            if (next == after) return -1;
            block[order[next]] = (int16_t)value;
            *nonzero |= 1ull << next;
        }
        zigzag = next + 1;
    }
    if (*run) {
        if (zigzag < after) refine(reader, old & zigzag_range(zigzag, after), order, block, bit);
        (*run)--;
    }
    return 0;
}

/* Reads one block of a scan. Returns -1 for bits that are no code. */
static inline int read_scan_block(bit_reader *reader, decoder *jpeg, const scan *from, component *part,
                            const uint8_t *order, int16_t *block, int *run) {
    if (from->first == 0) {
        if (from->high == 0) return first_dc(reader, jpeg, part, block, from->low);
        refill(reader);
        if (take(reader, 1)) block[0] = (int16_t)(block[0] | 1 << from->low);
        return 0;
    }
    const huffman_table *table = &jpeg->ac[part->ac_table];
    uint64_t *nonzero = (uint64_t *)(void *)(block + part->kept + NONZERO);
    if (from->high) return refine_ac(reader, table, from, order, block, nonzero, run);
    return first_ac(reader, table, from, order, block, nonzero, run);
}

/* The bits of the next restart interval, from ``*at`` on. */
static enum outcome next_interval(decoder *jpeg, const uint8_t **at, bit_reader *reader) {
    ptrdiff_t length = unstuffed(at, jpeg->end, jpeg->bits);
    if (length < 0) return UNSUPPORTED;
    *reader = (bit_reader){.next = jpeg->bits, .end = jpeg->bits + length};
    return OK;
}

/* Steps over a restart marker, which must have the number ``*number``. */
static enum outcome restart(decoder *jpeg, const uint8_t **at, bit_reader *reader, int *number) {
    if (!within_data(reader) || (*at)[1] != 0xD0 + *number) return UNSUPPORTED;
    *number = (*number + 1) & 7;
    *at += 2;
    for (int i = 0; i < jpeg->components_count; i++) jpeg->components[i].prediction = 0;
    return next_interval(jpeg, at, reader);
}

static enum outcome read_scan(decoder *jpeg, const scan *from) {
    component *single = from->count == 1 ? &jpeg->components[from->components[0]] : NULL;
    /* Scans of several components hold DC coefficients only (T.81, G.1.1.1.1), which come first in every order. */
    const component *like = single ? single : &jpeg->components[0];
    uint8_t order[ORDER_LENGTH];
    set_order(like, order);
    const uint8_t *at = from->data;
    bit_reader reader;
    enum outcome outcome = next_interval(jpeg, &at, &reader);
    int run = 0, number = 0, until_restart = jpeg->restart_interval;
    int across = single ? single->own_blocks_across : jpeg->mcus_across;
    int down = single ? single->own_blocks_down : jpeg->mcus_down;
    for (int i = 0; i < jpeg->components_count; i++) jpeg->components[i].prediction = 0;
    for (int y = 0; y < down && outcome == OK; y++) {
        for (int x = 0; x < across; x++) {
            if (jpeg->restart_interval && until_restart-- == 0) {
                if ((outcome = restart(jpeg, &at, &reader, &number)) != OK) return outcome;
                run = 0, until_restart = jpeg->restart_interval - 1;
            }
            for (int i = 0; i < from->count; i++) {
                component *part = &jpeg->components[from->components[i]];
                int wide = single ? 1 : part->across, high = single ? 1 : part->down;
                for (int by = 0; by < high; by++)
                    for (int bx = 0; bx < wide; bx++) {
                        size_t index = (size_t)(y * high + by) * part->blocks_across + (x * wide + bx);
                        int16_t *block = part->coefficients + index * part->room;
                        if (read_scan_block(&reader, jpeg, from, part, order, block, &run)) return UNSUPPORTED;
                    }
            }
            if (!within_padding(&reader)) return UNSUPPORTED;
        }
    }
    return outcome == OK && !within_data(&reader) ? UNSUPPORTED : outcome;
}

#endif
