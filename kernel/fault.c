// SPDX-License-Identifier: GPL-2.0
/* The number of the rule that this build breaks; no part of any other build. */
#include "core/fault.h"

const int cowstack_broken_rule = COWSTACK_BROKEN_RULE;
