// Numbers that carry their own proof: check digits, ranges, addresses that parse.
#pragma once

#include <string_view>

namespace runtail {

// Digits among other bytes are taken, all else is left out, unless said otherwise.
bool is_card_number(std::string_view text);   // issuer range, length, Luhn
bool is_us_ssn(std::string_view text);        // nine digits; area, group and serial in use, or a taxpayer number
bool is_iban(std::string_view text);          // country's length, mod 97
bool is_npi(std::string_view text);           // US National Provider Identifier: Luhn with prefix 80840
bool is_dea_number(std::string_view text);    // two letters, seven digits, check digit
bool is_nhs_number(std::string_view text);    // ten digits, mod 11
bool is_phone_number(std::string_view text);  // 7 to 15 digits, not all the same, no date
bool is_date(std::string_view text);          // three numbers or a month's name that make a date
// Exactly an address; loopback, unspecified and broadcast ones name no machine and are none.
bool is_ip_address(std::string_view text);

}  // namespace runtail
