/* A scan's bits: stuffing removed beforehand, read 64 at a time, the next one uppermost. */
#ifndef SHRINK_BITS_H
#define SHRINK_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "types.h"

typedef struct {
    uint64_t buffer;
    int count;               /* valid bits of the buffer; those after them are valid too, or zero */
    const uint8_t *next, *end;
} bit_reader;

static inline uint64_t eight_bytes(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* At least 56 bits afterwards. Without a branch: it may read 8 bytes past ``next``, which padding covers. */
static inline void refill(bit_reader *reader) {
    reader->buffer |= eight_bytes(reader->next) >> reader->count;
    reader->next += (63 - reader->count) >> 3;
    reader->count |= 56;
}

static inline void drop(bit_reader *reader, int bits) {
    reader->buffer <<= bits;
    reader->count -= bits;
}

/* The next ``bits`` bits, 1 to 32, which the buffer must hold. */
static inline uint32_t take(bit_reader *reader, int bits) {
    uint32_t value = (uint32_t)(reader->buffer >> (64 - bits));
    drop(reader, bits);
    return value;
}

static inline int within_padding(const bit_reader *reader) { return reader->next <= reader->end + 8; }

/* Whether no more bits were read than the data has. */
static inline int within_data(const bit_reader *reader) {
    return reader->next - (reader->count >> 3) <= reader->end;
}

/* Copies the data of one restart interval to ``bits`` without stuffed zeros; PADDING zeros follow.
   Sets ``from`` to the marker that ended it. Returns the length, or -1 when the file ends first. */
ptrdiff_t unstuffed(const uint8_t **from, const uint8_t *end, uint8_t *bits);

#endif
