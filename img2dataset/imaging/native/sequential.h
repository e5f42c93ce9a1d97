/* Blocks of a sequential JPEG (ITU-T T.81, annex F). */
#ifndef SHRINK_SEQUENTIAL_H
#define SHRINK_SEQUENTIAL_H

#include "huffman.h"

/* Where a coefficient goes, by zigzag place: blocks lie column after column, as the transform wants them.
   What lies past the end goes to a place of its own, so that nothing need be asked. */
enum { NOWHERE = 64, BLOCK_ROOM = 72 };
static const uint8_t BLOCK_ORDER[64 + 256] = {
    0,  8,  1,  2,  9,  16, 24, 17, 10, 3,  4,  11, 18, 25, 32, 40, 33, 26, 19, 12, 5,  6,
    13, 20, 27, 34, 41, 48, 56, 49, 42, 35, 28, 21, 14, 7,  15, 22, 29, 36, 43, 50, 57, 58,
    51, 44, 37, 30, 23, 31, 38, 45, 52, 59, 60, 53, 46, 39, 47, 54, 61, 62, 55, 63,
    [64 ... 319] = NOWHERE,
};

/* Where the coefficients of ``part`` go: as above, or those of 4 x 4 only. */
static void set_order(const component *part, uint8_t order[sizeof BLOCK_ORDER]) {
    memset(order, part->kept, sizeof BLOCK_ORDER);
    for (int i = 0; i < 64; i++) {
        int column = BLOCK_ORDER[i] >> 3, row = BLOCK_ORDER[i] & 7;
        if (part->kept == 64) order[i] = BLOCK_ORDER[i];
        else if (column < LOW_SIDE && row < LOW_SIDE) order[i] = (uint8_t)(column * LOW_SIDE + row);
    }
}

/* Reads one block to ``block`` (zeros before). Returns whether it holds more than its mean, or -1. */
static inline int read_block(bit_reader *restrict source, const huffman_table *dc, const huffman_table *ac,
                             const uint8_t *restrict order, int *prediction, int16_t *restrict block) {
    bit_reader reader = *source;
    refill(&reader);
    int difference = read_dc(&reader, dc);
    if (difference == 1 << 16) return -1;
    *prediction = (int16_t)(*prediction + difference);
    block[0] = (int16_t)*prediction;
    int place = 1, flat = 1;
    do {
        refill(&reader);
        /* As many symbols as surely fit what was refilled. */
        for (int i = 0; i < 56 / LOOKUP_BITS; i++) {
            uint64_t entry = ac->pairs[reader.buffer >> (64 - LOOKUP_BITS)];
            if (__builtin_expect((entry & 255) == 0, 0)) goto closer;
            int after_one = place + (int)(entry >> 16 & 255);
            block[order[after_one - 1]] = (int16_t)(entry >> 32);
            if (after_one >= 64) {
                drop(&reader, entry >> 8 & 63);
                place = after_one;
                goto done;
            }
            drop(&reader, entry & 63);
            place += (int)(entry >> 24 & 255);
            block[order[place - 1]] = (int16_t)(entry >> 48);
            if (place >= 64) goto done;
        }
        continue;
    closer:
        refill(&reader);
        {
            int symbol = read_symbol(&reader, ac);
            int size = symbol & 15;
            if (symbol < 0 || (size == 0 && symbol != 0 && symbol != 0xF0)) return -1;
            place += size || symbol ? (symbol >> 4) + 1 : END_OF_BLOCK;
            if (size) block[order[place - 1]] = (int16_t)extended(take(&reader, size), size);
        }
    } while (place < 64);
done:
    if (place > 64 && place < END_OF_BLOCK) return -1;
    flat = place == END_OF_BLOCK + 1;
    *source = reader;
    return !flat;
}

#endif
