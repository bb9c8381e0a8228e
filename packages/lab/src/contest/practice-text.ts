/**
 * The text of a practice contest that is made without one, written for this purpose.
 * @module
 */

export const PRACTICE_PROMPT = "Tell me a story about a girl and a boat.";

export const PRACTICE_RESPONSE = `Once upon a time, there was a little girl named Mia. Mia lived in a small house near a big lake. She liked to look at the water and the birds.
One day, Mia saw a red boat on the lake. The boat was old and it had a hole. Mia felt sad for the boat. She ran home and said, "Mom, can we help the boat?" Her mom smiled and said, "Yes, we can help it."
They took some wood and some nails. They worked all day in the sun. Mia was tired, but she did not stop. At last the hole was gone and the boat was good again.
The next day, Mia and her mom sat in the boat. They went to the middle of the lake. A big fish came up and looked at them. Mia was not scared. She laughed and said, "Hello, fish! Do you like our boat?" The fish jumped high and the water went on her dress.
Mia and her mom went home when the sun went down. They were wet and happy. From that day on, they took the red boat to the lake every day, and the fish was their friend.`;
