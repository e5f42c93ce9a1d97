/* The finished planes to BGR or grey, 8 bits (ITU-R BT.601 over the full range, as JFIF has it). */
#ifndef SHRINK_COLOUR_H
#define SHRINK_COLOUR_H

#include <stddef.h>
#include <stdint.h>

#include "resample.h"
#include "types.h"

/* A colour's distance from grey. What rounding made of none is none: grey stays grey. */
enum { ROUNDED = 8 };
static inline int beside_grey(int sample) {
    int colour = sample - (128 << FRACTION_BITS);
    return colour > ROUNDED || colour < -ROUNDED ? colour : 0;
}

static inline int clamped(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

static void to_grey(const decoder *all, uint8_t *to) {
    const uint16_t *luma = all->components[0].plane;
    size_t pixels = (size_t)all->target_width * all->target_height;
    for (size_t i = 0; i < pixels; i++) to[i] = (uint8_t)clamped((luma[i] + 128) >> 8);
}

static void to_bgr(const decoder *all, uint8_t *to) {
    size_t pixels = (size_t)all->target_width * all->target_height;
    for (size_t from = 0; from < pixels; from += CHUNK) {
        const uint16_t *luma = all->components[0].plane + from;
        const uint16_t *blue = all->components[1].plane + from, *red = all->components[2].plane + from;
        uint8_t colours[3][CHUNK];
        int count = pixels - from < CHUNK ? (int)(pixels - from) : CHUNK;
        for (int i = 0; i < count; i++) {
            int y = (luma[i] << 8) + (1 << 15), b = beside_grey(blue[i]), r = beside_grey(red[i]);
            colours[0][i] = (uint8_t)clamped((y + b * 454) >> 16);           /* 1.772 * 256 */
            colours[1][i] = (uint8_t)clamped((y - b * 88 - r * 183) >> 16);  /* 0.3441, 0.7141 */
            colours[2][i] = (uint8_t)clamped((y + r * 359) >> 16);           /* 1.402 */
        }
        for (int i = 0; i < count; i++, to += 3) to[0] = colours[0][i], to[1] = colours[1][i], to[2] = colours[2][i];
    }
}

#endif
