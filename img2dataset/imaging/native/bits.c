#include "bits.h"

#include <string.h>

ptrdiff_t unstuffed(const uint8_t **from, const uint8_t *end, uint8_t *bits) {
    const uint8_t *at = *from;
    uint8_t *to = bits;
    for (;;) {
        const uint8_t *mark = memchr(at, 0xFF, (size_t)(end - at));
        if (mark == NULL || mark + 1 >= end) return -1;
        memcpy(to, at, (size_t)(mark - at));
        to += mark - at;
        if (mark[1] != 0) {
            *from = mark;
            break;
        }
        *to++ = 0xFF;
        at = mark + 2;
    }
    memset(to, 0, PADDING);
    return to - bits;
}
