/* Blocks of a sequential JPEG (ITU-T T.81, annex F). */
#ifndef SHRINK_SEQUENTIAL_H
#define SHRINK_SEQUENTIAL_H

#include <stdint.h>

#include "blocks.h"
#include "huffman.h"
#include "types.h"

/* Reads one block to ``block``, which holds zeros. Returns 1 if it has AC coefficients, 0 if it has none, -1 for bits
   that are no code. */
static inline int read_block(bit_reader *restrict source, const huffman_table *dc, const huffman_table *ac,
                             const uint8_t *restrict order, int *prediction, int16_t *restrict block) {
    bit_reader reader = *source;
    refill(&reader);
    int difference = read_dc(&reader, dc);
    if (difference == 1 << 16) return -1;
    *prediction = (int16_t)(*prediction + difference);
    block[0] = (int16_t)*prediction;
    int zigzag = 1, flat = 1;
    do {
        refill(&reader);
        /* As many symbols as 56 bits are enough for. */
        for (int i = 0; i < 56 / LOOKUP_BITS; i++) {
            uint64_t entry = ac->pairs[reader.buffer >> (64 - LOOKUP_BITS)];
            if (__builtin_expect((entry & 255) == 0, 0)) goto closer;
            int after_one = zigzag + (int)(entry >> 16 & 255);
            block[order[after_one - 1]] = (int16_t)(entry >> 32);
            if (after_one >= 64) {
                drop(&reader, entry >> 8 & 63);
                zigzag = after_one;
                goto done;
            }
            drop(&reader, entry & 63);
            zigzag += (int)(entry >> 24 & 255);
            block[order[zigzag - 1]] = (int16_t)(entry >> 48);
            if (zigzag >= 64) goto done;
        }
        continue;
    closer:
        refill(&reader);
        {
            int symbol = read_symbol(&reader, ac);
            int size = symbol & 15;
            if (symbol < 0 || (size == 0 && symbol != 0 && symbol != 0xF0)) return -1;
            zigzag += size || symbol ? (symbol >> 4) + 1 : END_OF_BLOCK;
            if (size) block[order[zigzag - 1]] = (int16_t)extended(take(&reader, size), size);
        }
    } while (zigzag < 64);
done:
    if (zigzag > 64 && zigzag < END_OF_BLOCK) return -1;
    flat = zigzag == END_OF_BLOCK + 1;
    *source = reader;
    return !flat;
}

#endif
