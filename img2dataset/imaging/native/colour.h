/* The finished planes to BGR or grey, 8 bits (ITU-R BT.601 over the full range, as JFIF has it). */
#ifndef SHRINK_COLOUR_H
#define SHRINK_COLOUR_H

#include <stddef.h>
#include <stdint.h>

#include "resample.h"
#include "types.h"

/* A chroma sample's difference from grey. Differences that rounding can make count as none: grey stays grey. */
enum { ROUNDED = 8 };
static inline int chroma(int sample) {
    int colour = sample - (128 << FRACTION_BITS);
    return colour > ROUNDED || colour < -ROUNDED ? colour : 0;
}

static inline int clamped(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

static void to_grey(const decoder *jpeg, uint8_t *to) {
    const uint16_t *luma = jpeg->components[0].plane;
    size_t pixels = (size_t)jpeg->target_width * jpeg->target_height;
    for (size_t i = 0; i < pixels; i++) to[i] = (uint8_t)clamped((luma[i] + 128) >> 8);
}

static void to_bgr(const decoder *jpeg, uint8_t *to) {
    size_t pixels = (size_t)jpeg->target_width * jpeg->target_height;
    for (size_t from = 0; from < pixels; from += CHUNK) {
        const uint16_t *luma = jpeg->components[0].plane + from;
        const uint16_t *blue = jpeg->components[1].plane + from, *red = jpeg->components[2].plane + from;
        uint8_t colours[3][CHUNK];
        int count = pixels - from < CHUNK ? (int)(pixels - from) : CHUNK;
        for (int i = 0; i < count; i++) {
            int y = (luma[i] << 8) + (1 << 15), b = chroma(blue[i]), r = chroma(red[i]);
            colours[0][i] = (uint8_t)clamped((y + b * 454) >> 16);           /* 1.772 * 256 */
            colours[1][i] = (uint8_t)clamped((y - b * 88 - r * 183) >> 16);  /* 0.3441, 0.7141 */
            colours[2][i] = (uint8_t)clamped((y + r * 359) >> 16);           /* 1.402 */
        }
        for (int i = 0; i < count; i++, to += 3) to[0] = colours[0][i], to[1] = colours[1][i], to[2] = colours[2][i];
    }
}

#endif
