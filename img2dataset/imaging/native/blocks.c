#include "blocks.h"

#include <math.h>
#include <string.h>

/* By zigzag index. */
static const uint8_t BLOCK_ORDER[64] = {
    0,  8,  1,  2,  9,  16, 24, 17, 10, 3,  4,  11, 18, 25, 32, 40, 33, 26, 19, 12, 5,  6,
    13, 20, 27, 34, 41, 48, 56, 49, 42, 35, 28, 21, 14, 7,  15, 22, 29, 36, 43, 50, 57, 58,
    51, 44, 37, 30, 23, 31, 38, 45, 52, 59, 60, 53, 46, 39, 47, 54, 61, 62, 55, 63,
};

void set_order(const component *part, uint8_t order[ORDER_LENGTH]) {
    memset(order, part->kept, ORDER_LENGTH);
    for (int i = 0; i < 64; i++) {
        int column = BLOCK_ORDER[i] >> 3, row = BLOCK_ORDER[i] & 7;
        if (part->kept == 64) order[i] = BLOCK_ORDER[i];
        else if (column < LOW_SIDE && row < LOW_SIDE) order[i] = (uint8_t)(column * LOW_SIDE + row);
    }
}

/* The factor of a coefficient of frequency 0-7 along one side, for each reduction. */
static double side_scale(int frequency, int reduction) {
    double angle = frequency * M_PI / 16;
    if (reduction == 8) return frequency ? 0 : 1 / sqrt(8);
    if (reduction == 1) return (frequency ? cos(angle) * sqrt(2) : 1) / sqrt(8);
    if (frequency == 0) return 1 / sqrt(8);
    double fold = cos(angle) / 2 * (frequency > 4 ? -1 : 1);
    if (frequency == 4) return 0;
    if (reduction == 2) return frequency == 2 || frequency == 6 ? fold * cos(M_PI / 4) : fold;
    double p = (cos(M_PI / 8) + cos(3 * M_PI / 8)) / 2, q = (cos(M_PI / 8) - cos(3 * M_PI / 8)) / 2;
    return frequency == 1 || frequency == 7 ? fold * p : frequency == 3 || frequency == 5 ? -fold * q : 0;
}

void set_multipliers(component *part) {
    for (int zigzag = 0; zigzag < 64; zigzag++) {
        int at = BLOCK_ORDER[zigzag];
        part->multipliers[at] = (float)(part->quantisation[zigzag] * side_scale(at >> 3, part->reduction) *
                                        side_scale(at & 7, part->reduction) * (1 << FRACTION_BITS));
        /* Without its low bits a value is cut off towards zero; small values are likelier than large ones. */
        int low = part->low_bits[zigzag];
        part->missing[at] = zigzag && low > 0 ? 0.4f * (float)((1 << low) - 1) : 0;
        if (part->missing[at] != 0) part->imprecise = 1;
    }
    for (int at = 0; at < 16; at++) {
        part->low_multipliers[at] = part->multipliers[at / 4 * 8 + at % 4];
        part->low_missing[at] = part->missing[at / 4 * 8 + at % 4];
    }
}
