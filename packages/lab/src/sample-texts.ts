/**
 * Everyday texts, for measuring what is read where the user gives none. Ours.
 * @module
 */
export const SAMPLE_TEXTS: readonly string[] = [
  "Can you tell my sister that the train from Lyon is forty minutes late and that I will take a taxi from the station?",
  "The patient is 54, complains of chest pain since this morning, and takes a blood thinner. What should be checked first?",
  "Write a short letter to my landlord: the heating has been off for nine days and I would like to pay less rent for May.",
  "Once there was a small fox who wanted to see the sea. She asked the crow, and the crow said that it was far behind the hills.",
  "Our revenue in the third quarter fell by four percent, mostly because two large customers moved their orders to January.",
  "What is the difference between a fixed and a variable interest rate, and which one is safer when prices are rising?",
  "My son is afraid of the dark. He wakes up at night, comes to our bed, and in the morning he says that he saw nothing.",
  "Please fix this function: it should return the mean of the numbers, but for an empty list it divides by zero.",
  "We had two eggs, half an onion, some rice and a tin of tomatoes, and in the end it was the best dinner of the week.",
  "The witness states that the blue car came from the left, did not stop at the red light and hit the cyclist near the bridge.",
  "Thank you for your application. We were impressed by your work, but we have decided to go on with another candidate.",
  "How do I tell my manager that I am pregnant before the project starts? I do not want it to change what I am given to do.",
];
