/* For every processor. */
#include "decoder.h"
#include "shrink.h"

__attribute__((visibility("default"))) int shrink_any(SHRINK_ARGUMENTS) { return (int)shrink(SHRINK_NAMES); }
