/* Huffman tables (ITU-T T.81, annexes C and F.2.2.3) that give a symbol and its value in one look-up. */
#ifndef SHRINK_HUFFMAN_H
#define SHRINK_HUFFMAN_H

#include <stdint.h>

#include "bits.h"
#include "types.h"

/* Added to any zigzag index, it is past the block's end. */
enum { END_OF_BLOCK = 128 };

/* A value of ``size`` bits: those whose first bit is 0 are negative. */
static inline int extended(uint32_t bits, int size) {
    return (int)bits - (((int)(bits >> (size - 1)) - 1) & ((1 << size) - 1));
}

/* ``lengths``: how many codes there are of 1 to 16 bits; ``symbols``: theirs, ``count`` in all. */
enum outcome build_table(huffman_table *table, const uint8_t *lengths, const uint8_t *symbols, int count,
                         int is_dc);

/* From ``lookup``; where there is no second symbol, the first is repeated. */
void build_pairs(huffman_table *table);

/* The next symbol, without its value; -1 for bits that are no code. The buffer must hold 16 bits. */
static inline int read_symbol(bit_reader *reader, const huffman_table *table) {
    int prefix = table->prefix[reader->buffer >> (64 - LOOKUP_BITS)];
    if (prefix) {
        drop(reader, prefix >> 8);
        return prefix & 255;
    }
    int32_t ahead = (int32_t)(reader->buffer >> 48);
    for (int length = LOOKUP_BITS + 1; length <= 16; length++) {
        if (ahead < table->first_beyond[length]) {
            drop(reader, length);
            return table->symbols[((ahead >> (16 - length)) + table->offset[length]) & 255];
        }
    }
    return -1;
}

/* The difference of a block's DC coefficient to the one before; 1 << 16 for bits that are no code. */
static inline int read_dc(bit_reader *reader, const huffman_table *table) {
    uint32_t entry = table->lookup[reader->buffer >> (64 - LOOKUP_BITS)];
    if (entry & 255) {
        drop(reader, entry & 255);
        return (int32_t)entry >> 16;
    }
    int size = read_symbol(reader, table);
    if (size < 0) return 1 << 16;
    return size ? extended(take(reader, size), size) : 0;
}

#endif
