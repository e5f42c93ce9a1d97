/* What shrink_jpeg chooses from, by the processor; from outside, only tests call these two. */
#ifndef SHRINK_H
#define SHRINK_H

#include <stddef.h>
#include <stdint.h>

#define SHRINK_ARGUMENTS                                                                                     \
    const uint8_t *body, size_t length, int width, int height, int target_width, int target_height,          \
        int luma_reduction, int colour_reduction, int what, uint8_t *pixels
#define SHRINK_NAMES \
    body, length, width, height, target_width, target_height, luma_reduction, colour_reduction, what, pixels

int shrink_any(SHRINK_ARGUMENTS);
int shrink_avx2(SHRINK_ARGUMENTS);

#endif
