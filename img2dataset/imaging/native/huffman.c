#include "huffman.h"

#include <stddef.h>
#include <string.h>

static uint32_t lookup_entry(uint32_t index, int length, int symbol, int is_dc) {
    int run = is_dc ? 0 : symbol >> 4, size = is_dc ? symbol : symbol & 15;
    int value = 0, advance = run + 1;
    if (size) {
        if (length + size > LOOKUP_BITS) return 0;
        value = extended(index >> (LOOKUP_BITS - length - size) & ((1u << size) - 1), size);
    } else if (!is_dc) {
        if (run == 0) advance = END_OF_BLOCK;
        else if (run != 15) return 0;
    }
    return (uint32_t)(length + size) | (uint32_t)advance << 8 | (uint32_t)(uint16_t)(int16_t)value << 16;
}

enum outcome build_table(huffman_table *table, const uint8_t *lengths, const uint8_t *symbols, int count,
                         int is_dc) {
    memset(table, 0, offsetof(huffman_table, pairs));
    memcpy(table->symbols, symbols, (size_t)count);
    uint32_t code = 0;
    int at = 0;
    for (int length = 1; length <= 16; length++, code <<= 1) {
        table->offset[length] = at - (int32_t)code;
        for (int i = 0; i < lengths[length - 1]; i++, at++, code++) {
            if (code >= (1u << length)) return UNSUPPORTED;
            int symbol = symbols[at], size = is_dc ? symbol : symbol & 15;
            /* 8-bit samples have none larger; the padding relies on it. */
            if (size > (is_dc ? 11 : 10)) return UNSUPPORTED;
            if (length > LOOKUP_BITS) continue;
            uint32_t first = code << (LOOKUP_BITS - length);
            for (uint32_t index = first; index < first + (1u << (LOOKUP_BITS - length)); index++) {
                table->prefix[index] = (uint16_t)(length << 8 | symbol);
                table->lookup[index] = lookup_entry(index, length, symbol, is_dc);
            }
        }
        table->first_beyond[length] = (int32_t)(code << (16 - length));
    }
    table->defined = 1;
    return OK;
}

void build_pairs(huffman_table *table) {
    for (uint32_t index = 0; index < 1u << LOOKUP_BITS; index++) {
        uint64_t one = table->lookup[index], length = one & 255, advance = one >> 8 & 255, value = one >> 16;
        uint64_t two = length ? table->lookup[(index << length) & ((1u << LOOKUP_BITS) - 1)] : 0;
        int fits = (two & 255) != 0 && length + (two & 255) <= LOOKUP_BITS && advance < END_OF_BLOCK;
        uint64_t both = fits ? length + (two & 255) : length, moved = fits ? advance + (two >> 8 & 255) : advance;
        table->pairs[index] = both | length << 8 | advance << 16 | moved << 24 | value << 32 |
                              (fits ? two >> 16 : value) << 48;
    }
}
