/* How libFuzzer changes a JPEG: as it changes any bytes, and by segments, where few bytes mean most. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *body, size_t length, size_t most);

enum { MOST_MARKERS = 256, LONGEST_HEADER = 24 };

/* Bytes that mean something where they are read: limits of sizes, tables, factors and restart intervals. */
static const uint8_t TELLING[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x07, 0x08, 0x0F, 0x10, 0x11, 0x12,
                                  0x14, 0x21, 0x22, 0x24, 0x41, 0x44, 0x3F, 0x40, 0x7F, 0x80, 0xFF};

static uint32_t state;

/* A number from 0 to ``below`` - 1 (xorshift, Marsaglia 2003). */
static size_t chance(size_t below) {
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    return state % below;
}

/* Where markers lie. Returns how many. */
static size_t find_markers(const uint8_t *body, size_t length, size_t found[MOST_MARKERS]) {
    size_t count = 0;
    for (size_t at = 0; at + 1 < length && count < MOST_MARKERS; at++)
        if (body[at] == 0xFF && body[at + 1] != 0 && body[at + 1] != 0xFF) found[count++] = at;
    return count;
}

/* Replaces ``removed`` bytes at ``at`` by ``added`` others, which do not lie in ``body``, if there is room. */
static size_t replace(uint8_t *body, size_t length, size_t most, size_t at, size_t removed, const uint8_t *others,
                      size_t added) {
    if (length - removed + added > most) return length;
    memmove(body + at + added, body + at + removed, length - at - removed);
    if (added) memcpy(body + at, others, added);
    return length - removed + added;
}

/* A byte of a segment's header. */
static size_t change_byte(uint8_t *body, size_t length, size_t marker) {
    size_t at = marker + 1 + chance(LONGEST_HEADER);
    if (at >= length) return length;
    switch (chance(3)) {
        case 0: body[at] ^= (uint8_t)(1u << chance(8)); break;
        case 1: body[at] += (uint8_t)(chance(7) - 3); break;
        default: body[at] = TELLING[chance(sizeof TELLING)];
    }
    return length;
}

/* Cuts the file off, and perhaps says that this is its end, or half says so. */
static size_t cut_off(uint8_t *body, size_t length) {
    size_t at = 1 + chance(length - 1), ends = chance(3);
    if (ends > 0) body[at++] = 0xFF;
    if (ends > 1 && at < length) body[at++] = 0xD9;
    return at < length ? at : length;
}

size_t LLVMFuzzerCustomMutator(uint8_t *body, size_t length, size_t most, unsigned seed) {
    size_t markers[MOST_MARKERS], count = find_markers(body, length, markers);
    state = seed | 1;
    for (int i = 0; i < 4; i++) chance(1);
    if (count < 2 || chance(3) == 0) return LLVMFuzzerMutate(body, length, most);
    size_t which = chance(count - 1), from = markers[which], to = markers[which + 1];
    uint8_t segment[1024];
    size_t bytes = to - from < sizeof segment ? to - from : sizeof segment;
    switch (chance(8)) {
        case 0: return replace(body, length, most, from, to - from, NULL, 0);
        case 1:
            memcpy(segment, body + from, bytes);
            return replace(body, length, most, markers[chance(count)], 0, segment, bytes);
        case 2: return cut_off(body, length);
        /* The way of calling. */
        case 3: body[length - 1] = (uint8_t)chance(256); return length;
        default: return change_byte(body, length, markers[chance(count)]);
    }
}

/* The start of one file and the end of another, each up to a marker; or one file with a segment of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *one, size_t one_length, const uint8_t *other, size_t other_length,
                                 uint8_t *made, size_t most, unsigned seed) {
    size_t mine[MOST_MARKERS], its[MOST_MARKERS];
    size_t count = find_markers(one, one_length, mine), its_count = find_markers(other, other_length, its);
    state = seed | 1;
    for (int i = 0; i < 4; i++) chance(1);
    if (count == 0 || its_count < 2 || one_length > most) return 0;
    size_t at = mine[chance(count)], which = chance(its_count - 1), from = its[which];
    memcpy(made, one, one_length);
    if (chance(2)) return replace(made, one_length, most, at, one_length - at, other + from, other_length - from);
    return replace(made, one_length, most, at, 0, other + from, its[which + 1] - from);
}
